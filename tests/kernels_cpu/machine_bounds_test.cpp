#include "kernels/cpu/machine_bounds.h"

#include <gtest/gtest.h>

namespace sinew::cpu {
namespace {

// Orders of magnitude: what any machine of the last and the next twenty years has.
TEST(MachineBounds, ArePlausible) {
  const auto bandwidth = measure_read_bandwidth(1);
  ASSERT_TRUE(bandwidth.ok());
  EXPECT_GT(bandwidth.value(), 2e8);
  EXPECT_LT(bandwidth.value(), 2e12);
  const auto peak = measure_arithmetic_peak(ops::Precision::kFp32, 1);
  ASSERT_TRUE(peak.has_value());
  EXPECT_FALSE(peak->instructions.empty());
  EXPECT_GT(peak->flop_per_second, 1e8);
  EXPECT_LT(peak->flop_per_second, 1e12);  // one core: 2 x 16 lanes x 2 x 6 GHz is 0.4e12
}

TEST(MachineBounds, PrecisionsWithoutAProbeHaveNone) {
  EXPECT_FALSE(measure_arithmetic_peak(ops::Precision::kFp8, 1).has_value());
}

}  // namespace
}  // namespace sinew::cpu
