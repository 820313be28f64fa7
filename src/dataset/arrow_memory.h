// The memory that Arrow may take to read one Parquet file. A page header of a few bytes can claim
// gigabytes, and a page of a few bytes can decode to billions of values.
#pragma once

#include <arrow/memory_pool.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>

namespace sinew::dataset {

class ArrowMemory {
 public:
  explicit ArrowMemory(const std::filesystem::path& file)
      : shared_(arrow::default_memory_pool(), kMaxBytes),
        own_(&shared_),
        limited_(&own_, limit_of(file)) {}

  arrow::MemoryPool* pool() { return &limited_; }

 private:
  static constexpr int64_t kMaxBytes = int64_t{2} << 30;  // all files together
  // One file: pages have some MB, and few columns compress to less than a part in 32.
  static constexpr int64_t kBaseBytes = 64 << 20;
  static constexpr int64_t kMaxGrowth = 32;

  static int64_t limit_of(const std::filesystem::path& file) {
    std::error_code failed;  // a file that cannot be asked fails when it is opened
    const auto bytes = std::min<uintmax_t>(std::filesystem::file_size(file, failed), kMaxBytes);
    return std::min(kMaxBytes, kBaseBytes + kMaxGrowth * static_cast<int64_t>(bytes));
  }

  arrow::CappedMemoryPool shared_;
  arrow::ProxyMemoryPool own_;  // counts what this file holds
  arrow::CappedMemoryPool limited_;
};

}  // namespace sinew::dataset
