// An .npy file from anywhere: whatever parses is written as a file that holds the same array.
#include "base/check.h"
#include "io/npy.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto array = sinew::io::parse_npy(std::as_bytes(std::span(data, size)), "fuzz");
  if (!array.ok()) {
    SINEW_CHECK(!array.status().message().empty());
    return 0;
  }
  const std::string file = sinew::io::format_npy(array.value().view());
  const auto again = sinew::io::parse_npy(std::as_bytes(std::span(file)), "again");
  SINEW_CHECK(again.ok() && again.value().shape == array.value().shape);
  const sinew::Buffer& a = array.value().data;
  const sinew::Buffer& b = again.value().data;
  SINEW_CHECK(std::equal(a.data(), a.data() + a.size_bytes(), b.data(), b.data() + b.size_bytes()));
  return 0;
}
