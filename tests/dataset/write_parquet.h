// Writes small Parquet files for tests: every cell type, codec and page version that data sets use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sinew::test {

struct WriteColumn {
  enum class Type {
    kFloat,
    kDouble,
    kInt64,
    kFloatList,
    kDoubleList,
    kFixedFloatList,
    kText,
    kTextList,
    kImage  // struct{bytes, path} as LeRobot embeds images
  };

  std::string name;
  Type type = Type::kFloat;
  int64_t width = 1;
  std::vector<double> numbers;                  // [rows, width]
  std::vector<std::string> texts;               // kText, kImage
  std::vector<std::vector<std::string>> lists;  // kTextList
};

struct WriteOptions {
  enum class Codec { kNone, kSnappy, kZstd, kGzip };

  Codec codec = Codec::kSnappy;
  bool pages_v2 = false;
  bool dictionary = true;
  int64_t rows_a_group = 1 << 20;
};

// Creates the folders of `path`. A failure fails the test.
void write_parquet(const std::filesystem::path& path, const std::vector<WriteColumn>& columns,
                   const WriteOptions& options = {});

}  // namespace sinew::test
