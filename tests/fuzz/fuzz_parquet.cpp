// Parquet files from hostile bytes: whatever is read has the rows and widths that it claims.
#include "base/check.h"
#include "dataset/parquet_table.h"
#include "memory_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace {

void check_column(const sinew::dataset::Column& column, int64_t rows) {
  using sinew::dataset::Column;
  SINEW_CHECK(column.rows == rows);
  const auto cells = static_cast<size_t>(rows);
  switch (column.kind) {
    case Column::Kind::kNumbers:
      SINEW_CHECK(column.numbers.size() == cells * static_cast<size_t>(column.width));
      break;
    case Column::Kind::kTexts:
      SINEW_CHECK(column.texts.size() == cells);
      break;
    case Column::Kind::kTextLists:
      SINEW_CHECK(column.text_lists.size() == cells);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const sinew::test::MemoryFile memory(data, size);
  const auto opened = sinew::dataset::ParquetFile::open(memory.path());
  if (!opened.ok()) {
    SINEW_CHECK(!opened.status().message().empty());
    return 0;
  }
  const sinew::dataset::ParquetFile& file = opened.value();
  const int64_t rows = std::min<int64_t>(file.rows(), 5000);
  for (const std::string& name : file.columns()) {
    const auto columns = file.read({name}, {0, rows});
    if (columns.ok()) {
      check_column(columns.value()[0], rows);
    }
    if (file.rows() > 1) {
      const auto cursor = file.cursor(name, {1, rows - 1}, 3);
      for (int i = 0; cursor.ok() && i < 4; ++i) {
        const auto batch = cursor.value()->next();
        if (!batch.ok() || batch.value().rows == 0) {
          break;
        }
        check_column(batch.value(), batch.value().rows);
      }
    }
  }
  if (file.rows() <= rows && file.has_column("episode_index")) {
    const auto found = file.rows_equal("episode_index", 1);
    SINEW_CHECK(!found.ok() || found.value().first + found.value().count <= file.rows());
  }
  return 0;
}
