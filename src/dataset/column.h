// Cells of a table as plain vectors, and the files that hold tables: what parquet_table.h gives and
// the layouts use.
#pragma once

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sinew::dataset {

// Rows [first, first + count) of a file or episode.
struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
};

// Some rows of one column. Which vector is filled follows from the kind.
struct Column {
  enum class Kind {
    kNumbers,   // bool, integer or float cells, or arrays of them that all have the same length
    kTexts,     // strings, binary, or the `bytes` of a struct{bytes, path} (embedded images)
    kTextLists  // arrays of strings
  };

  std::string name;
  Kind kind = Kind::kNumbers;
  bool is_array = false;  // the cells are arrays (of `width` numbers)
  int64_t rows = 0;
  int64_t width = 1;            // numbers a cell
  std::vector<double> numbers;  // [rows, width]; integers are exact up to 2^53
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> text_lists;
};

// An integer of a number column; fails when the value is not one.
Result<int64_t> integer_at(const Column& column, int64_t row, const std::string& where);

// FOLDER/*/*.parquet, sorted by path: the files of a chunked table. kNotFound when there are none.
Result<std::vector<std::filesystem::path>> list_parquet_files(const std::filesystem::path& folder);

// Fails for a file that is missing, a folder or a git-LFS pointer: what Arrow and libav would call
// "not Parquet" and "not a video".
Status check_data_file(const std::filesystem::path& path);

}  // namespace sinew::dataset
