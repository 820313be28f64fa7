// Where a weight is not a number, and what is a number after all.
#include "policy/weight_values.h"

#include "base/float16.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

namespace sinew::policy {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// `values` stored as `dtype`, one byte off any alignment.
std::vector<std::byte> stored(const std::vector<float>& values, DType dtype) {
  const size_t size = dtype_bytes(dtype);
  std::vector<std::byte> bytes(1 + values.size() * size);
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    const uint16_t half = dtype == DType::kF16 ? to_f16(value).bits : to_bf16(value).bits;
    const void* const src = dtype == DType::kF32 ? static_cast<const void*>(&value) : &half;
    std::memcpy(bytes.data() + 1 + i * size, src, size);
  }
  return bytes;
}

std::optional<int64_t> find(const std::vector<float>& values, DType dtype) {
  const std::vector<std::byte> bytes = stored(values, dtype);
  return find_non_finite({bytes.data() + 1, dtype, {std::ssize(values)}});
}

class NonFinite : public testing::TestWithParam<DType> {};

TEST_P(NonFinite, IsFoundAtEveryPlaceOfABlockAndItsTail) {
  for (const size_t size : {1U, 7U, 4096U, 4097U, 10000U}) {
    for (const size_t at : {size_t{0}, size / 2, size - 1}) {
      for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
        std::vector<float> values(size, -1.5F);
        values[at] = bad;
        EXPECT_EQ(find(values, GetParam()), static_cast<int64_t>(at)) << size;
      }
    }
  }
}

TEST_P(NonFinite, TheFirstOfSeveralIsNamed) {
  std::vector<float> values(9000, 0.25F);
  values[8000] = kNan;
  values[5000] = kInfinity;
  EXPECT_EQ(find(values, GetParam()), 5000);
}

TEST_P(NonFinite, LargeSmallAndNegativeNumbersAreNumbers) {
  std::vector<float> values(5000, -0.0F);
  values[1] = GetParam() == DType::kF16 ? 65504.0F : 3.0e38F;
  values[2] = -values[1];
  values[3] = 1e-45F;
  values[4999] = -65504.0F;
  EXPECT_EQ(find(values, GetParam()), std::nullopt);
  EXPECT_EQ(find({}, GetParam()), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Types, NonFinite, testing::Values(DType::kF32, DType::kF16, DType::kBf16),
                         [](const auto& type) { return std::string(dtype_name(type.param)); });

}  // namespace
}  // namespace sinew::policy
