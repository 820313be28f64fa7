// Parquet files as plain columns (spec/dataset.md section 1.5). parquet_table.cpp is the only file
// of the project that sees Arrow: its headers are heavy and its errors come as both exceptions and
// statuses.
#pragma once

#include "dataset/column.h"

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::dataset {

// An open file. Move-only; not thread-safe.
class ParquetFile {
 public:
  // Reads the footer. Errors: missing file, git-LFS pointer, not Parquet, truncated, corrupt.
  static Result<ParquetFile> open(const std::filesystem::path& path);

  ParquetFile(ParquetFile&&) noexcept;
  ParquetFile& operator=(ParquetFile&&) noexcept;
  ~ParquetFile();

  int64_t rows() const;
  const std::vector<std::string>& columns() const;  // top level, in file order
  bool has_column(std::string_view name) const;
  const std::string& where() const;  // the path, for messages

  // The columns in the order asked for. Only the row groups that hold `range` are read. Errors:
  // column missing (lists those that exist), unsupported type, null cells, arrays of unequal
  // length, corrupt pages, rows beyond the file.
  Result<std::vector<Column>> read(const std::vector<std::string>& columns, RowRange range) const;

  // The rows whose integer `column` equals `value`: they must be contiguous. Row groups whose
  // statistics exclude the value are not read. kNotFound when there are none.
  Result<RowRange> rows_equal(const std::string& column, int64_t value) const;

  // Reads one column batch by batch, forwards, so that embedded images need not be held.
  class Cursor {
   public:
    virtual ~Cursor() = default;
    // The next batch: some rows, or none at the end of the range.
    virtual Result<Column> next() = 0;
  };

  // The cursor refers to this file, which must outlive it.
  Result<std::unique_ptr<Cursor>> cursor(const std::string& column, RowRange range,
                                         int64_t batch_rows) const;

 private:
  struct Impl;
  explicit ParquetFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sinew::dataset
