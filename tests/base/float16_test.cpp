#include "base/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sinew {
namespace {

TEST(Bf16, RoundsToNearestEven) {
  EXPECT_EQ(to_float(to_bf16(0.80584222F)), 0.8046875F);  // spec/model.md section 5.3
  EXPECT_EQ(to_float(to_bf16(0.64938164F)), 0.6484375F);
  EXPECT_EQ(to_bf16(1.00390625F).bits, 0x3f80);  // a tie goes to the even neighbour
  EXPECT_EQ(to_bf16(1.01171875F).bits, 0x3f82);
}

TEST(Bf16, KeepsSpecialValues) {
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(to_float(to_bf16(std::numeric_limits<float>::max()))));
  EXPECT_EQ(to_bf16(-0.0F).bits, 0x8000);
}

TEST(F16, RoundTripsEveryFiniteValue) {
  for (uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const F16 x{static_cast<uint16_t>(bits)};
    if ((bits & 0x7c00U) == 0x7c00U && (bits & 0x3ffU) != 0) {
      EXPECT_TRUE(std::isnan(to_float(x)));
      continue;
    }
    ASSERT_EQ(to_f16(to_float(x)).bits, x.bits) << bits;
  }
}

TEST(F16, RoundsAndOverflows) {
  EXPECT_EQ(to_f16(65519.0F).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0F).bits, 0x7c00);
  EXPECT_EQ(to_f16(0x1p-25F).bits, 0);              // a tie at half the smallest subnormal
  EXPECT_EQ(to_f16(1.0F + 0x1p-11F).bits, 0x3c00);  // a tie at half a step above one
}

}  // namespace
}  // namespace sinew
