// What a caller may rely on besides the numbers: camera independence, equal bits of equal calls,
// the split of act() into prepare() and run(), no allocation in the steady state, and clear
// refusals.
#include "sinew/policy.h"

#include "io/safetensors.h"
#include "support/golden_case.h"
#include "support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <thread>

namespace sinew {
namespace {

using testing::HasSubstr;

const std::filesystem::path kGolden = "tests/golden";

PolicyOptions options() {
  return {.model_path = kGolden / "nano/checkpoint",
          .embodiment_tag = "NEW_EMBODIMENT",
          .device = "cpu"};
}

class PolicyTest : public testing::Test {
 protected:
  void SetUp() override {
    auto golden = test::load_golden_case(kGolden, "main");
    ASSERT_TRUE(golden.ok()) << golden.status().message();
    golden_ = std::move(golden).value();
  }

  test::GoldenSample& sample() { return golden_->samples[0]; }

  // The status of a policy asked about the (changed) sample.
  Status act() {
    auto policy = Policy::load(options());
    EXPECT_TRUE(policy.ok()) << policy.status().message();
    ActionChunk chunk;
    return policy.value().act(sample().observation(), chunk);
  }

  std::optional<test::GoldenCase> golden_;
};

TEST_F(PolicyTest, CamerasAreIndependentInTheVisionTower) {
  std::vector<std::vector<float>> towers;
  for (const bool is_changed : {false, true}) {
    const test::TempFolder folder;
    PolicyOptions with_dump = options();
    with_dump.dump_sites = folder.path();
    auto policy = Policy::load(with_dump);
    ASSERT_TRUE(policy.ok()) << policy.status().message();
    if (is_changed) {  // every pixel of the second camera
      for (uint8_t& pixel : sample().images[1][0].pixels) {
        pixel = static_cast<uint8_t>(255 - pixel);
      }
    }
    ActionChunk chunk;
    ASSERT_TRUE(policy.value().act(sample().observation(), chunk).ok());
    const auto dump = io::SafetensorsFile::open(folder / "call_000000.safetensors");
    ASSERT_TRUE(dump.ok());
    for (const char* site : {"vis.out", "vis.mlp1"}) {
      const auto values = dump.value().find(site)->view.as<float>();
      towers.emplace_back(values.begin(), values.end());
    }
  }
  for (const size_t site : {0U, 1U}) {
    const std::vector<float>& before = towers[site];
    const std::vector<float>& after = towers[site + 2];
    const auto half = static_cast<std::ptrdiff_t>(before.size() / 2);
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + half, after.begin()));
    EXPECT_FALSE(std::equal(before.begin() + half, before.end(), after.begin() + half));
  }
}

TEST_F(PolicyTest, EqualCallsGiveEqualBits) {
  auto policy = Policy::load(options());
  ASSERT_TRUE(policy.ok());
  ActionChunk first;
  ActionChunk second;
  ASSERT_TRUE(policy.value().act(sample().observation(), first).ok());
  PreparedInputs inputs;
  ASSERT_TRUE(policy.value().prepare(sample().observation(), inputs).ok());
  ASSERT_TRUE(policy.value().run(inputs, second).ok());
  EXPECT_EQ(first.normalized, second.normalized);
  std::vector<ActionChunk> batch(1);
  const std::vector<Observation> observations{sample().observation()};
  ASSERT_TRUE(policy.value().act_batch(observations, batch).ok());
  EXPECT_EQ(first.normalized, batch[0].normalized);
}

TEST_F(PolicyTest, SeedDecidesTheNoise) {
  sample().noise.clear();
  std::vector<std::vector<float>> results;
  for (const uint64_t seed : {1U, 1U, 2U}) {
    PolicyOptions seeded = options();
    seeded.seed = seed;
    auto policy = Policy::load(seeded);
    ASSERT_TRUE(policy.ok());
    ActionChunk chunk;
    ASSERT_TRUE(policy.value().act(sample().observation(), chunk).ok());
    results.push_back(chunk.normalized);
    ASSERT_TRUE(policy.value().act(sample().observation(), chunk).ok());
    EXPECT_NE(results.back(), chunk.normalized);  // every call draws anew
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_NE(results[0], results[2]);
}

TEST_F(PolicyTest, ThreadsPrepareSideBySide) {
  auto policy = Policy::load(options());
  ASSERT_TRUE(policy.ok());
  ActionChunk expected;
  ASSERT_TRUE(policy.value().act(sample().observation(), expected).ok());
  std::vector<PreparedInputs> inputs(3);
  std::vector<std::thread> threads;
  for (PreparedInputs& mine : inputs) {
    threads.emplace_back(
        [&] { EXPECT_TRUE(policy.value().prepare(sample().observation(), mine).ok()); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (PreparedInputs& mine : inputs) {
    ActionChunk chunk;
    ASSERT_TRUE(policy.value().run(mine, chunk).ok());
    EXPECT_EQ(expected.normalized, chunk.normalized);
  }
}

TEST_F(PolicyTest, ReportsWhatItExpects) {
  auto policy = Policy::load(options());
  ASSERT_TRUE(policy.ok());
  const PolicyInfo& info = policy.value().info();
  EXPECT_EQ(info.family, "gr00t_n1d6");
  EXPECT_EQ(info.cameras, (std::vector<std::string>{"front", "wrist"}));
  EXPECT_EQ(info.horizon, 16);
  EXPECT_EQ(info.action.size(), 2U);
  EXPECT_TRUE(std::any_of(info.config.begin(), info.config.end(), [](const ConfigRow& row) {
    return row.key == "max_state_dim" && row.origin == "config.json";
  }));
  for (int stage = 0; stage <= 4; ++stage) {
    const auto text = policy.value().plan_text(stage);
    ASSERT_TRUE(text.ok());
    EXPECT_THAT(text.value(), HasSubstr("site=vis.layer0"));
  }
  ASSERT_TRUE(policy.value().warm_up().ok());
  EXPECT_GT(policy.value().memory().arena_bytes, 0U);
  EXPECT_GT(policy.value().memory().weight_bytes, 0U);
}

TEST_F(PolicyTest, RefusesAMissingCamera) {
  sample().video.pop_back();
  const Status status = act();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("wrist"));
}

TEST_F(PolicyTest, RefusesTheWrongNumberOfFrames) {
  sample().video[0].frames = {};
  EXPECT_THAT(act().message(), HasSubstr("expected 1 frames"));
}

TEST_F(PolicyTest, RefusesViewsThatEndAtDifferentSizes) {
  sample().frames[1][0].height = 100;
  EXPECT_THAT(act().message(), HasSubstr("image views differ after resize"));
}

TEST_F(PolicyTest, RefusesNonFiniteState) {
  sample().state_values[0][0] = std::numeric_limits<float>::quiet_NaN();
  const Status status = act();
  EXPECT_EQ(status.code(), Code::kBadInput);
  EXPECT_THAT(status.message(), HasSubstr(sample().state_keys[0]));
}

TEST_F(PolicyTest, RefusesNoiseOfAnotherSize) {
  sample().noise.pop_back();
  EXPECT_THAT(act().message(), HasSubstr("noise"));
}

TEST_F(PolicyTest, RefusesTextThatIsNotUtf8) {
  sample().language = "pick \xff up";
  EXPECT_EQ(act().code(), Code::kBadInput);
}

TEST_F(PolicyTest, RefusesAnInstructionWithoutEnd) {
  // A token a word: the prompt's frame has some twenty more.
  const auto words = [](size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) {
      text += "1 ";
    }
    return text;
  };
  const auto policy = Policy::load(options());
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  PreparedInputs inputs;
  const auto prepare = [&](const std::string& text) {
    sample().language = text;
    return policy.value().prepare(sample().observation(), inputs);
  };
  EXPECT_TRUE(prepare(words(900)).ok());
  EXPECT_LE(inputs.shape().tokens - inputs.shape().image_tokens, 2048);
  const Status many_tokens = prepare(words(2100));
  EXPECT_EQ(many_tokens.code(), Code::kBadInput);
  EXPECT_THAT(many_tokens.message(), HasSubstr("at most 2048 are taken"));
  EXPECT_FALSE(inputs.shape().tokens > 0);
  const Status many_bytes = prepare(words(20000));
  EXPECT_EQ(many_bytes.code(), Code::kBadInput);
  EXPECT_THAT(many_bytes.message(), HasSubstr("expected at most 16384 bytes, found 40000"));
}

struct BadOptions {
  const char* name;
  void (*change)(PolicyOptions&);
  Code code;
  const char* message;
};

class PolicyOptionsTest : public testing::TestWithParam<BadOptions> {};

TEST_P(PolicyOptionsTest, AreRefused) {
  PolicyOptions bad = options();
  GetParam().change(bad);
  const auto policy = Policy::load(bad);
  ASSERT_FALSE(policy.ok());
  EXPECT_EQ(policy.status().code(), GetParam().code) << policy.status().message();
  EXPECT_THAT(policy.status().message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, PolicyOptionsTest,
    testing::Values(
        BadOptions{"device", [](PolicyOptions& o) { o.device = "tpu"; }, Code::kUsage, "--device"},
        BadOptions{"cuda", [](PolicyOptions& o) { o.device = "cuda:99"; }, Code::kDevice,
                   "--device cuda:99"},
        BadOptions{"cuda_number", [](PolicyOptions& o) { o.device = "cuda:x"; }, Code::kUsage,
                   "cuda:x"},
        BadOptions{"lowering", [](PolicyOptions& o) { o.lowering = "fast"; }, Code::kUsage,
                   "--lowering"},
        BadOptions{"memory_fraction", [](PolicyOptions& o) { o.gpu_mem_fraction = 1.5; },
                   Code::kUsage, "--gpu-mem-fraction"},
        BadOptions{"graph", [](PolicyOptions& o) { o.cuda_graph = "maybe"; }, Code::kUsage,
                   "--cuda-graph"},
        BadOptions{"precision", [](PolicyOptions& o) { o.precision = "fp13"; }, Code::kUsage,
                   "--precision"},
        BadOptions{"unsupported_precision", [](PolicyOptions& o) { o.precision = "int8"; },
                   Code::kUnsupported, "int8"},
        BadOptions{"horizon_text", [](PolicyOptions& o) { o.horizon = "12x"; }, Code::kUsage,
                   "--horizon"},
        BadOptions{"horizon_short", [](PolicyOptions& o) { o.horizon = "3"; }, Code::kUsage,
                   "fewer action tokens"},
        BadOptions{"horizon_long", [](PolicyOptions& o) { o.horizon = "65"; }, Code::kUsage,
                   "action positions"},
        BadOptions{"steps", [](PolicyOptions& o) { o.denoising_steps = 0; }, Code::kUsage,
                   "--denoising-steps"},
        BadOptions{"rope", [](PolicyOptions& o) { o.rope_inv_freq = "fp8"; }, Code::kUsage,
                   "--rope-inv-freq"},
        BadOptions{"tag", [](PolicyOptions& o) { o.embodiment_tag = "toaster"; }, Code::kNotFound,
                   "toaster"},
        BadOptions{"no_tag", [](PolicyOptions& o) { o.embodiment_tag = ""; }, Code::kUsage,
                   "libero"},
        BadOptions{"folder", [](PolicyOptions& o) { o.model_path = "no/such"; }, Code::kNotFound,
                   "no/such"},
        BadOptions{"vlm", [](PolicyOptions& o) { o.vlm_path = "docs"; }, Code::kNotFound,
                   "vocab.json"}),
    [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace sinew
