// The file of --noise from hostile bytes: whatever is read deals out finite entries of one size,
// and the first one again after the last.
#include "base/check.h"
#include "eval/noise_sequence.h"
#include "memory_file.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static sinew::test::MemoryFile memory;
  memory.assign({reinterpret_cast<const char*>(data), size});
  auto noise = sinew::eval::NoiseSequence::read(memory.path());
  if (!noise.ok()) {
    SINEW_CHECK(!noise.status().message().empty());
    return 0;
  }
  SINEW_CHECK(noise.value().entries() > 0);
  const std::span<const float> first = noise.value().next();
  SINEW_CHECK(!first.empty());
  SINEW_CHECK(std::all_of(first.begin(), first.end(), [](float x) { return std::isfinite(x); }));
  for (int64_t i = 1; i < noise.value().entries(); ++i) {
    SINEW_CHECK(noise.value().next().size() == first.size());
  }
  SINEW_CHECK(noise.value().next().data() == first.data());
  static_cast<void>(noise.value().check(16, 32).ok());
  return 0;
}
