// The steady state: shapes may alternate without changing a bit, and calls of a known shape
// allocate nothing.
#include "support/allocation_count.h"
#include "support/golden_case.h"
#include "support/test_device.h"

#include "sinew/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinew {
namespace {

// The threads of a GPU's driver allocate for themselves now and then, which no caller can change;
// device memory is counted in cuda_test.cpp.
int64_t driver_allocations() {
  return test::test_device() == "cpu" ? 0 : 50;
}

class SteadyStateTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    golden_ = test::load_golden_case("tests/golden", "main").value();
    policy_ = Policy::load({.model_path = "tests/golden/nano/checkpoint",
                            .embodiment_tag = "new_embodiment",
                            .device = test::test_device(),
                            .precision = GetParam(),
                            .lowering = test::test_lowering()})
                  .value();
  }

  std::vector<float> act(const char* text) {
    golden_->samples[0].language = text;
    const Status status = policy_->act(golden_->samples[0].observation(), chunk_);
    EXPECT_TRUE(status.ok()) << status.message();
    return chunk_.normalized;
  }

  std::optional<test::GoldenCase> golden_;
  std::optional<Policy> policy_;
  ActionChunk chunk_;
};

INSTANTIATE_TEST_SUITE_P(Precisions, SteadyStateTest, testing::Values("fp32", "bf16"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST_P(SteadyStateTest, AlternatingShapesKeepTheirBits) {
  const std::string longer =
      "put the very large red cube into the smallest of the seven wooden bowls on the table";
  const auto first = act("go");
  const auto second =
      act(longer.c_str());  // a larger arena: the first program is bound anew afterwards
  EXPECT_EQ(first, act("go"));
  EXPECT_EQ(second, act(longer.c_str()));
  for (int i = 0; i < 12; ++i) {  // more shapes than a session keeps
    act((std::string(static_cast<size_t>(i), 'x') + " y z").c_str());
    act(std::string(static_cast<size_t>(3 * i + 1), '7').c_str());
  }
  EXPECT_EQ(first, act("go"));
  EXPECT_EQ(second, act(longer.c_str()));
}

TEST_P(SteadyStateTest, AHundredCallsOfAKnownShapeAllocateNothing) {
  if (!test::counts_allocations()) {
    GTEST_SKIP() << "malloc is not counted in this build";
  }
  for (int i = 0; i < 3; ++i) {
    act("pick up the red cube");
  }
  const Observation observation = golden_->samples[0].observation();
  EXPECT_GT(test::allocation_count(), 0) << "the hook is not in place";
  const int64_t before = test::allocation_count();
  bool is_ok = true;
  for (int i = 0; i < 100; ++i) {
    is_ok = policy_->act(observation, chunk_).ok() && is_ok;
  }
  const int64_t after = test::allocation_count();
  EXPECT_TRUE(is_ok);
  EXPECT_LE(after - before, driver_allocations());
}

TEST_P(SteadyStateTest, AStateThatDrewAWarningIsPreparedWithoutAllocation) {
  for (std::vector<float>& values : golden_->samples[0].state_values) {
    std::ranges::for_each(values, [](float& x) { x = 1000 + 57.3F * x; });
  }
  const Observation observation = golden_->samples[0].observation();
  PreparedInputs inputs;
  testing::internal::CaptureStderr();
  bool is_ok = policy_->prepare(observation, inputs).ok();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("far outside"), std::string::npos);
  const int64_t before = test::allocation_count();
  for (int i = 0; i < 10; ++i) {
    is_ok = policy_->prepare(observation, inputs).ok() && is_ok;
  }
  const int64_t after = test::allocation_count();
  EXPECT_TRUE(is_ok);
  EXPECT_LE(after - before, driver_allocations());
}

}  // namespace
}  // namespace sinew
