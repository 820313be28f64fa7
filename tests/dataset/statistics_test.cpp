// compute_stats and compute_relative_stats against the files that the original wrote for the same
// data set. min, max and quantiles are defined exactly; mean and std depend on the order of an f32
// sum (spec/dataset.md section 2 gives the bound).
#include "dataset/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

namespace sinew::dataset {
namespace {

const std::filesystem::path kData = "tests/golden/dataset";

std::unique_ptr<Dataset> open_golden() {
  auto dataset = Dataset::open(kData);
  EXPECT_TRUE(dataset.ok()) << dataset.status().message();
  return dataset.ok() ? std::move(dataset).value() : nullptr;
}

std::vector<double> flatten(const io::Json& json) {
  std::vector<double> out;
  if (json.is_number()) {
    return {json.get<double>()};
  }
  for (const io::Json& item : json) {
    const std::vector<double> inner = flatten(item);
    out.insert(out.end(), inner.begin(), inner.end());
  }
  return out;
}

void expect_statistics(const io::Json& actual, const io::Json& expected) {
  ASSERT_EQ(actual.size(), 6U);
  const std::vector<double> std = flatten(expected.at("std"));
  for (const char* name : {"min", "max", "q01", "q99"}) {
    EXPECT_EQ(flatten(actual.at(name)), flatten(expected.at(name))) << name;
  }
  for (const char* name : {"mean", "std"}) {
    const std::vector<double> a = flatten(actual.at(name));
    const std::vector<double> e = flatten(expected.at(name));
    ASSERT_EQ(a.size(), e.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_NEAR(a[i], e[i], std::max(1e-5 * std::abs(e[i]), 1e-4 * std[i])) << name << i;
      EXPECT_NEAR(a[i], e[i], 2e-6 * (std::abs(e[i]) + std[i])) << name << i;
    }
  }
}

preprocess::Modalities relative_modalities() {
  preprocess::Modalities modalities;
  modalities.state = {{0}, {"single_arm", "gripper"}, {}, {}, {}};
  modalities.action = {{}, {"single_arm", "gripper"}, {}, {}, {}};
  for (int64_t i = 0; i < 16; ++i) {
    modalities.action.delta_indices.push_back(i);
  }
  modalities.action.action_configs.resize(2);
  modalities.action.action_configs[0].representation = preprocess::ActionRepresentation::kRelative;
  return modalities;
}

TEST(Statistics, EqualTheOriginals) {
  const auto dataset = open_golden();
  ASSERT_NE(dataset, nullptr);
  int64_t last = 0;
  const auto stats = compute_stats(*dataset, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 2);
    last = done;
  });
  ASSERT_TRUE(stats.ok()) << stats.status().message();
  EXPECT_EQ(last, 2);
  const auto expected = io::read_json_file(kData / "meta" / "stats.json");
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  ASSERT_EQ(stats.value().size(), expected.value().size());
  for (const auto& [feature, values] : expected.value().items()) {
    SCOPED_TRACE(feature);
    expect_statistics(stats.value().at(feature), values);
  }
}

TEST(Statistics, RelativeEqualTheOriginals) {
  const auto dataset = open_golden();
  ASSERT_NE(dataset, nullptr);
  const auto stats = compute_relative_stats(*dataset, relative_modalities());
  ASSERT_TRUE(stats.ok()) << stats.status().message();
  const auto expected = io::read_json_file(kData / "meta" / "relative_stats.json");
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  ASSERT_EQ(stats.value().size(), 1U);
  EXPECT_EQ(stats.value().at("single_arm").at("mean").size(), 16U);
  expect_statistics(stats.value().at("single_arm"), expected.value().at("single_arm"));
}

TEST(Statistics, RelativeNeedsMatchingDeltasAndJoints) {
  const auto dataset = open_golden();
  ASSERT_NE(dataset, nullptr);
  preprocess::Modalities modalities = relative_modalities();
  modalities.state.delta_indices = {-1};
  EXPECT_EQ(compute_relative_stats(*dataset, modalities).status().code(), Code::kBadInput);

  modalities = relative_modalities();
  modalities.action.action_configs[0].type = preprocess::ActionType::kEef;
  EXPECT_EQ(compute_relative_stats(*dataset, modalities).status().code(), Code::kUnsupported);

  modalities = relative_modalities();
  modalities.action.action_configs[0].state_key = "gripper";  // 1 dimension, the arm has 6
  EXPECT_EQ(compute_relative_stats(*dataset, modalities).status().code(), Code::kBadInput);

  modalities = relative_modalities();
  modalities.action.delta_indices = {0, 40};  // longer than every episode
  EXPECT_EQ(compute_relative_stats(*dataset, modalities).status().code(), Code::kBadInput);

  modalities.action.action_configs.clear();
  EXPECT_TRUE(compute_relative_stats(*dataset, modalities).value().empty());
}

}  // namespace
}  // namespace sinew::dataset
