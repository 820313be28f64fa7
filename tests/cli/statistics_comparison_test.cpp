#include "cli/statistics_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sinew::cli {
namespace {

// State group "arm": columns 1 and 2 of "observation.state"; relative action "arm" with 2 steps.
struct Example {
  preprocess::EmbodimentStatistics checkpoint;
  dataset::DatasetInfo info;
  io::Json stats{{"observation.state",
                  {{"mean", {9, 1, 2}},
                   {"std", {9, 2, 4}},
                   {"min", {9, 0, 0}},
                   {"max", {9, 3, 3}},
                   {"q01", {9, 0, 0}},
                   {"q99", {9, 3, 3}}}}};
  io::Json relative{{"arm",
                     {{"mean", {{0, 0}, {1, 1}}},
                      {"std", {{1, 1}, {1, 1}}},
                      {"min", {{0, 0}, {0, 0}}},
                      {"max", {{2, 2}, {2, 2}}},
                      {"q01", {{0, 0}, {0, 0}}},
                      {"q99", {{2, 2}, {2, 2}}}}}};

  Example() {
    info.state["arm"] = {"observation.state", 1, 3, {}};
    checkpoint.state["arm"] = {1, 2, {0, 0}, {3, 3}, {1, 2}, {2, 4}, {0, 0}, {3, 3}};
    checkpoint.relative_action["arm"] = {
        2, 2, {0, 0, 0, 0}, {2, 2, 2, 2}, {0, 0, 1, 1}, {1, 1, 1, 1}, {0, 0, 0, 0}, {2, 2, 2, 2}};
  }

  Result<std::vector<StatisticsDifference>> compare() const {
    return compare_statistics(checkpoint, info, {stats, "stats.json"},
                              {relative, "relative_stats.json"});
  }
};

TEST(StatisticsComparison, EqualStatisticsDifferByNothing) {
  const auto differences = Example().compare();
  ASSERT_TRUE(differences.ok()) << differences.status().message();
  EXPECT_EQ(differences.value().size(), 12U);
  for (const StatisticsDifference& row : differences.value()) {
    EXPECT_EQ(row.deviations, 0) << row.statistic;
  }
}

TEST(StatisticsComparison, FindsTheLargestInStandardDeviations) {
  Example example;
  example.stats["observation.state"]["mean"] = {9, 2, 6};  // off by 0.5 and by 1 deviation
  example.relative["arm"]["max"] = {{2, 2}, {2, 5}};
  const auto differences = example.compare();
  ASSERT_TRUE(differences.ok());
  const StatisticsDifference& mean = differences.value()[0];
  EXPECT_EQ(mean.statistic, "mean");
  EXPECT_EQ(mean.dim, 1);
  EXPECT_EQ(mean.of_dataset, 6);
  EXPECT_EQ(mean.of_checkpoint, 2);
  EXPECT_DOUBLE_EQ(mean.deviations, 1);
  const StatisticsDifference& relative = differences.value()[9];
  EXPECT_EQ(relative.statistic, "max");
  EXPECT_EQ(relative.dim, 3);
  EXPECT_DOUBLE_EQ(relative.deviations, 3);
}

TEST(StatisticsComparison, AConstantThatMovedIsInfinitelyFar) {
  Example example;
  example.checkpoint.state["arm"].std = {0, 4};
  example.stats["observation.state"]["std"] = {9, 0, 4};
  example.stats["observation.state"]["mean"] = {9, 1.5, 2};
  EXPECT_TRUE(std::isinf(example.compare().value()[0].deviations));
}

TEST(StatisticsComparison, RefusesMissingGroupsAndOtherExtents) {
  Example no_group;
  no_group.info.state.clear();
  EXPECT_THAT(no_group.compare().status().message(), testing::HasSubstr("\"arm\""));
  Example other_width;
  other_width.info.state["arm"].end = 2;
  EXPECT_EQ(other_width.compare().status().code(), Code::kBadInput);
  Example beyond;
  beyond.info.state["arm"] = {"observation.state", 7, 9, {}};
  EXPECT_EQ(beyond.compare().status().code(), Code::kBadInput);
  Example no_statistic;
  no_statistic.stats["observation.state"].erase("q99");
  EXPECT_EQ(no_statistic.compare().status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace sinew::cli
