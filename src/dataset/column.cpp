// Checks of cells and of the files of a table.
#include "dataset/column.h"

#include "base/error.h"
#include "io/file.h"

#include <algorithm>
#include <cmath>

namespace sinew::dataset {
namespace {

constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53
constexpr uintmax_t kPointerBytes = 1024;                // a git-LFS pointer is smaller

// What a folder holds; nothing for anything else. (A range-for would throw on a read error.)
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> entries;
  std::error_code failed;
  std::filesystem::directory_iterator next(folder, failed);
  while (!failed && next != std::filesystem::directory_iterator()) {
    entries.push_back(next->path());
    next.increment(failed);
  }
  return entries;
}

}  // namespace

Result<std::vector<std::filesystem::path>> list_parquet_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& chunk : entries_of(folder)) {
    for (const std::filesystem::path& file : entries_of(chunk)) {
      if (file.extension() == ".parquet") {
        files.push_back(file);
      }
    }
  }
  if (files.empty()) {
    return not_found("{}: no Parquet files (expected chunk-000/*.parquet in it)", folder.string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<int64_t> integer_at(const Column& column, int64_t row, const std::string& where) {
  if (column.kind != Column::Kind::kNumbers || column.width != 1 || row < 0 || row >= column.rows) {
    return bad_input("{}: column '{}' has no integer in row {}", where, column.name, row);
  }
  const double value = column.numbers[static_cast<size_t>(row)];
  if (!(std::abs(value) <= kMaxExactInteger) || std::floor(value) != value) {
    return bad_input("{}: column '{}', row {}: expected an integer, found {}", where, column.name,
                     row, value);
  }
  return static_cast<int64_t>(value);
}

Status check_data_file(const std::filesystem::path& path) {
  std::error_code failed;
  const uintmax_t size = std::filesystem::file_size(path, failed);
  if (!failed && size > kPointerBytes) {
    return {};
  }
  return io::read_file(path).status();
}

}  // namespace sinew::dataset
