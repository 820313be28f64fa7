// The policy on a GPU: captured and uncaptured runs, repeated runs, memory that is planned and not
// exceeded, requests for devices that are not there.
#include "engine/backend.h"
#include "engine/cuda/memory.h"
#include "support/golden_case.h"
#include "support/test_device.h"

#include "sinew/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace sinew {
namespace {

const std::filesystem::path kGolden = "tests/golden";

class PolicyOnCuda : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const engine::CudaSystem system = engine::cuda_system();
    if (!system.problem.empty()) {
      GTEST_SKIP() << "no GPU: " << system.problem;
    }
    golden_ = test::load_golden_case(kGolden, "main").value();
  }

  PolicyOptions options() const {
    return {.model_path = (kGolden / "nano/checkpoint").string(),
            .embodiment_tag = "new_embodiment",
            .device = "cuda",
            .precision = GetParam(),
            .lowering = test::test_lowering()};
  }

  std::vector<float> act(Policy& policy, const std::string& text) {
    golden_->samples[0].language = text;
    ActionChunk chunk;
    const Status status = policy.act(golden_->samples[0].observation(), chunk);
    EXPECT_TRUE(status.ok()) << status.message();
    return chunk.normalized;
  }

  std::optional<test::GoldenCase> golden_;
};

INSTANTIATE_TEST_SUITE_P(Precisions, PolicyOnCuda, testing::Values("fp32", "bf16"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST_P(PolicyOnCuda, CapturedAndCheckedRunsHaveTheSameBits) {
  Policy captured = Policy::load(options()).value();
  PolicyOptions checked_options = options();
  checked_options.cuda_graph = "off";
  Policy checked = Policy::load(checked_options).value();
  const std::vector<float> first = act(captured, "pick up the cube");
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(first, act(checked, "pick up the cube"));
  EXPECT_EQ(first, act(captured, "pick up the cube"));
  captured.set_stage_timing(true);
  EXPECT_EQ(first, act(captured, "pick up the cube"));
}

TEST_P(PolicyOnCuda, StageTimesAddUpToTheRun) {
  Policy policy = Policy::load(options()).value();
  const Observation observation = golden_->samples[0].observation();
  ActionChunk chunk;
  ASSERT_TRUE(policy.act(observation, chunk).ok());
  EXPECT_EQ(chunk.timings.vision_ms, 0);
  EXPECT_GT(chunk.timings.network_ms, 0);
  policy.set_stage_timing(true);
  ASSERT_TRUE(policy.act(observation, chunk).ok());
  ASSERT_TRUE(policy.act(observation, chunk).ok());
  const Timings& t = chunk.timings;
  EXPECT_GT(t.vision_ms, 0);
  EXPECT_GT(t.language_ms, 0);
  EXPECT_GT(t.action_ms, 0);
  EXPECT_LE(t.vision_ms + t.language_ms + t.action_ms, t.network_ms);
}

TEST_P(PolicyOnCuda, AHundredRunsAllocateNoDeviceMemory) {
  Policy policy = Policy::load(options()).value();
  act(policy, "go");
  const size_t before = cuda::allocation_count();
  EXPECT_GT(before, 0U);
  for (int i = 0; i < 100; ++i) {
    act(policy, "go");
  }
  EXPECT_EQ(cuda::allocation_count(), before);
}

TEST_P(PolicyOnCuda, AnotherPromptUploadsNoParameterAgain) {
  Policy policy = Policy::load(options()).value();
  const std::vector<float> first = act(policy, "go");
  const Policy::Memory small = policy.memory();
  EXPECT_GT(small.weight_bytes, 0U);
  EXPECT_GT(small.staging_bytes, 0U);
  act(policy, "put the very large red cube into the smallest of the seven wooden bowls");
  const Policy::Memory large = policy.memory();
  EXPECT_GT(large.arena_bytes, small.arena_bytes);
  // Two rotary tables of 269 tokens more, no parameters, which take twenty times as much.
  EXPECT_LT(large.weight_bytes, small.weight_bytes + (192U << 10));
  EXPECT_EQ(first, act(policy, "go"));  // bound anew after the arena moved
}

TEST_P(PolicyOnCuda, WhatDoesNotFitIsSaidBeforeAnythingIsLoaded) {
  PolicyOptions small = options();
  small.gpu_mem_fraction = 1e-7;
  Policy policy = Policy::load(small).value();
  const size_t before = cuda::allocation_count();
  ActionChunk chunk;
  const Status status = policy.act(golden_->samples[0].observation(), chunk);
  EXPECT_EQ(status.code(), Code::kOutOfMemory);
  EXPECT_THAT(status.message(), testing::HasSubstr("parameters"));
  EXPECT_THAT(status.message(), testing::HasSubstr("--gpu-mem-fraction"));
  EXPECT_EQ(cuda::allocation_count(), before);
}

TEST_P(PolicyOnCuda, ADeviceThatIsNotThereIsNamedWithHowManyThereAre) {
  PolicyOptions absent = options();
  absent.device = "cuda:99";
  const auto policy = Policy::load(absent);
  ASSERT_FALSE(policy.ok());
  EXPECT_EQ(policy.status().code(), Code::kDevice);
  EXPECT_THAT(policy.status().message(), testing::HasSubstr("cuda:99"));
}

// On any machine: without a GPU the message says what is missing.
TEST(PolicyWithoutGpu, CudaIsRefusedWithTheReasonAndARemedy) {
  if (engine::cuda_system().problem.empty()) {
    GTEST_SKIP() << "there is a GPU";
  }
  const auto policy = Policy::load({.model_path = (kGolden / "nano/checkpoint").string(),
                                    .embodiment_tag = "new_embodiment",
                                    .device = "cuda"});
  ASSERT_FALSE(policy.ok());
  EXPECT_EQ(policy.status().code(), Code::kDevice);
  EXPECT_THAT(policy.status().message(), testing::HasSubstr("--device cpu"));
}

TEST(PolicyWithoutGpu, AutoTakesTheCpu) {
  if (engine::cuda_system().problem.empty()) {
    GTEST_SKIP() << "there is a GPU";
  }
  const auto policy = Policy::load(
      {.model_path = (kGolden / "nano/checkpoint").string(), .embodiment_tag = "new_embodiment"});
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  EXPECT_EQ(policy.value().info().device, "cpu");
}

}  // namespace
}  // namespace sinew
