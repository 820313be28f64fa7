#include "base/philox.h"

#include "base/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace sinew {
namespace {

// Known answers published with the generator (Random123, kat_vectors, philox4x32 10).
TEST(Philox, MatchesPublishedVectors) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Noise, IsStandardNormalAndBf16) {
  std::vector<float> values(200001);
  normal_noise(42, 0, values);
  double sum = 0;
  double squares = 0;
  for (const float x : values) {
    ASSERT_TRUE(std::isfinite(x));
    ASSERT_EQ(to_float(to_bf16(x)), x);
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0.0, 5.0 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0, 0.02);
}

TEST(Noise, DependsOnSeedAndDrawOnly) {
  std::vector<float> a(64);
  std::vector<float> b(64);
  normal_noise(1, 2, a);
  normal_noise(1, 2, b);
  EXPECT_EQ(a, b);
  normal_noise(1, 3, b);
  EXPECT_NE(a, b);
  normal_noise(2, 2, b);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace sinew
