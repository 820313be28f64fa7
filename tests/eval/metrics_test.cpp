#include "eval/metrics.h"

#include <gtest/gtest.h>

#include <vector>

namespace sinew::eval {
namespace {

TEST(ErrorSum, MeansOfSquaresAndOfAbsoluteDifferences) {
  ErrorSum sum;
  sum.add(1, 2);
  sum.add(1, -2);
  EXPECT_DOUBLE_EQ(sum.mean().mse, 5);
  EXPECT_DOUBLE_EQ(sum.mean().mae, 2);
  EXPECT_EQ(ErrorSum().mean().mse, 0);
}

TEST(ErrorSum, PartsAddUpToTheWhole) {
  ErrorSum first;
  ErrorSum second;
  first.add(0, 1);
  second.add(0, 2);
  second.add(0, 3);
  first.add(second);
  EXPECT_DOUBLE_EQ(first.mean().mse, 14.0 / 3);
  EXPECT_DOUBLE_EQ(first.mean().mae, 2);
}

// Expected figures: numpy.percentile([1, 2, 3, 4, 10], p) with its default, linear interpolation.
TEST(Percentile, InterpolatesBetweenRanksAsNumpyDoes) {
  const std::vector<double> sorted{1, 2, 3, 4, 10};
  EXPECT_DOUBLE_EQ(percentile(sorted, 0), 1);
  EXPECT_DOUBLE_EQ(percentile(sorted, 50), 3);
  EXPECT_DOUBLE_EQ(percentile(sorted, 90), 7.6);
  EXPECT_DOUBLE_EQ(percentile(sorted, 99), 9.76);
  EXPECT_DOUBLE_EQ(percentile(sorted, 100), 10);
  EXPECT_DOUBLE_EQ(percentile(std::vector<double>{7}, 90), 7);
}

TEST(LatencyStats, OfUnsortedSamples) {
  const LatencyStats stats = latency_stats(std::vector<double>{4, 1, 10, 3, 2});
  EXPECT_EQ(stats.count, 5);
  EXPECT_DOUBLE_EQ(stats.total, 20);
  EXPECT_DOUBLE_EQ(stats.mean, 4);
  EXPECT_DOUBLE_EQ(stats.min, 1);
  EXPECT_DOUBLE_EQ(stats.max, 10);
  EXPECT_DOUBLE_EQ(stats.p50, 3);
  EXPECT_DOUBLE_EQ(stats.p90, 7.6);
  EXPECT_DOUBLE_EQ(stats.jitter, 7);
}

TEST(LatencyStats, NoSamplesIsNotADivisionByZero) {
  const LatencyStats stats = latency_stats({});
  EXPECT_EQ(stats.count, 0);
  EXPECT_EQ(stats.mean, 0);
}

}  // namespace
}  // namespace sinew::eval
