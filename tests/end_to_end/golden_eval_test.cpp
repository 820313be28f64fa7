// `sinew eval` against the original's open-loop evaluation of the golden data set: MSE and MAE
// within 1e-5 relative.
#include "end_to_end/program.h"
#include "io/file.h"
#include "preprocess/image/image.h"
#include "support/checkpoint_copy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace sinew::test {
namespace {

class GoldenEval : public testing::Test {
 protected:
  GoldenEval() {
    const io::SafetensorsFile loader = open_golden(kGolden / "dataset_golden/loader.safetensors");
    write_noise(loader, "noise", folder_ / "noise.npy");
  }

  // The golden evaluation, with more flags.
  Outcome run(const std::vector<std::string>& more) const { return run_on(kNano, more); }

  Outcome run_on(const std::string& checkpoint, const std::vector<std::string>& more) const {
    std::vector<std::string> words{"eval",
                                   checkpoint,
                                   "--vlm-path",
                                   kEagle,
                                   "--dataset-path",
                                   kGolden / "dataset",
                                   "--embodiment-tag",
                                   "NEW_EMBODIMENT",
                                   "--traj_ids",
                                   "0",
                                   "1",
                                   "--denoising-steps",
                                   "4",
                                   "--device",
                                   "cpu",
                                   "--precision",
                                   "fp32"};
    words.insert(words.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--seed") == more.end()) {
      words.insert(words.end(), {"--noise", folder_ / "noise.npy"});
    }
    return run_sinew(words);
  }

  TempFolder folder_;
};

TEST_F(GoldenEval, MetricsEqualTheOriginals) {
  const io::Json want = read_golden_json(kGolden / "dataset_golden/index.json")["open_loop_eval"];
  const Outcome outcome =
      run({"--steps", std::to_string(want["steps"].get<int>()), "--action-horizon",
           std::to_string(want["action_horizon"].get<int>()), "--json", "--save-plot-path",
           folder_ / "plot.png", "--save-actions", folder_ / "actions.csv"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const io::Json got = json_of(outcome);
  const auto near = [](const io::Json& value, const io::Json& expected) {
    const double wanted = expected.get<double>();
    EXPECT_NEAR(value.get<double>(), wanted, 1e-5 * wanted);
  };
  ASSERT_EQ(got["trajectories"].size(), want["per_trajectory"].size());
  for (size_t i = 0; i < got["trajectories"].size(); ++i) {
    near(got["trajectories"][i]["mse"], want["per_trajectory"][i]["mse"]);
    near(got["trajectories"][i]["mae"], want["per_trajectory"][i]["mae"]);
    EXPECT_EQ(got["trajectories"][i]["calls"], want["per_trajectory"][i]["calls"]);
  }
  near(got["mse"], want["average_mse"]);
  near(got["mae"], want["average_mae"]);
  EXPECT_EQ(got["latency_ms"]["count"],
            2);  // of four calls, the first of each trajectory is not timed
  EXPECT_GT(got["memory_bytes"]["weights"], 0);
  for (const char* name : {"plot_traj_0.png", "plot_traj_1.png"}) {
    const Result<preprocess::Image> image = preprocess::read_image(folder_ / name);
    ASSERT_TRUE(image.ok()) << image.status().message();
    EXPECT_EQ(image.value().width, 800);
    EXPECT_EQ(image.value().height, 7 * 400);
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "actions.csv"));
}

TEST_F(GoldenEval, PrintsPeopleSixDecimalsAndTheSettings) {
  const Outcome outcome = run({});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::HasSubstr("1.452296"));  // the golden average MSE
  for (const char* part : {"data set", "embodiment", "trajectories", "denoising steps",
                           "warm-up steps", "attention", "noise"}) {
    EXPECT_THAT(outcome.err, testing::HasSubstr(part));
  }
}

TEST_F(GoldenEval, FlagsChangeTheRun) {
  const io::Json one_key = json_of(run({"--modality-keys", "gripper", "--json"}));
  EXPECT_EQ(one_key["trajectories"][0]["per_key"].size(), 1U);
  const io::Json whole = json_of(run({"--json"}));
  EXPECT_DOUBLE_EQ(one_key["mse"].get<double>(), whole["per_key"]["gripper"]["mse"].get<double>());
  const io::Json stride = json_of(run({"--action-horizon", "8", "--json"}));
  EXPECT_EQ(stride["trajectories"][0]["calls"], 4);
  const io::Json untimed = json_of(run({"--skip-timing-steps", "9", "--json"}));
  EXPECT_TRUE(untimed["latency_ms"]["mean"].is_null());
  EXPECT_THAT(run({"--skip-timing-steps", "9", "--profile"}).out, testing::HasSubstr("no profile"));
  const io::Json silent = json_of(run({"--no-get-performance-stats", "--json"}));
  EXPECT_FALSE(silent.contains("mse"));
  const io::Json one_step = json_of(run({"--steps", "1", "--json"}));
  EXPECT_EQ(one_step["trajectories"][0]["steps"], 1);
}

TEST_F(GoldenEval, BothHorizonsAreShownWhereTheyDiffer) {
  const CheckpointCopy copy(kNano);
  copy.edit(copy.path() / "config.json", [](io::Json& j) { j["action_horizon"] = 50; });
  // The noise file has rows for 16 action tokens, the generator for any number.
  const auto figures = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> words{"--json", "--no-compare-horizons"};
    words.insert(words.end(), flags.begin(), flags.end());
    io::Json json = json_of(run_on(copy.path(), words));
    EXPECT_EQ(json["other_horizons"], io::Json::array());
    return json;
  };
  const io::Json modality = figures({"--horizon", "modality"});
  const io::Json modality_seed = figures({"--horizon", "modality", "--seed", "7"});
  const io::Json checkpoint_seed = figures({"--seed", "7"});
  ASSERT_NE(modality_seed["mse"], checkpoint_seed["mse"]);

  const auto expect_both = [&](const Outcome& outcome, const io::Json& chosen, int other_tokens,
                               const char* source, const io::Json* other) {
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const io::Json json = json_of(outcome);
    EXPECT_EQ(json["mse"], chosen["mse"]);
    EXPECT_EQ(json["trajectories"][1]["per_key"], chosen["trajectories"][1]["per_key"]);
    ASSERT_EQ(json["other_horizons"].size(), 1U) << json["other_horizons"];
    const io::Json& found = json["other_horizons"][0];
    EXPECT_EQ(found["action_tokens"], other_tokens);
    EXPECT_EQ(found["source"], source);
    EXPECT_GT(found["total_ms"], found["mean_latency_ms"]);
    if (other != nullptr) {
      EXPECT_EQ(found["mse"], (*other)["mse"]);
      EXPECT_EQ(found["mae"], (*other)["mae"]);
    }
    EXPECT_THAT(outcome.err, testing::HasSubstr("--no-compare-horizons leaves them out"));
  };
  expect_both(run_on(copy.path(), {"--json", "--seed", "7"}), checkpoint_seed, 16,
              "action delta_indices", &modality_seed);
  expect_both(run_on(copy.path(), {"--json", "--seed", "7", "--horizon", "modality"}),
              modality_seed, 50, "config.json action_horizon", &checkpoint_seed);
  // 34 of the 50 rows are drawn, so there is no run of its own to compare with.
  expect_both(run_on(copy.path(), {"--json", "--horizon", "modality"}), modality, 50,
              "config.json action_horizon", nullptr);

  const Outcome table = run_on(copy.path(), {"--seed", "7"});
  const auto mse = modality_seed["mse"].get<double>();
  EXPECT_THAT(table.out, testing::HasSubstr("16 action tokens (action delta_indices) in place of "
                                            "50: MSE " +
                                            fmt::format("{:.6f}", mse)));
}

// config.json asks for fewer tokens than are decoded: the run that was asked for is not spoilt.
TEST_F(GoldenEval, AHorizonThatCannotRunIsSaidAndTheOtherStands) {
  const CheckpointCopy copy(kNano);
  copy.edit(copy.path() / "config.json", [](io::Json& j) { j["action_horizon"] = 8; });
  const Outcome outcome = run_on(copy.path(), {"--json", "--horizon", "modality"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const io::Json json = json_of(outcome);
  EXPECT_EQ(json["mse"], json_of(run({"--json"}))["mse"]);
  ASSERT_EQ(json["other_horizons"].size(), 1U);
  EXPECT_THAT(json["other_horizons"][0]["failure"].get<std::string>(),
              testing::HasSubstr("fewer action tokens"));
}

TEST_F(GoldenEval, HorizonFlagsWithoutEffectSaySo) {
  const Outcome equal = run({"--compare-horizons", "--json"});
  EXPECT_EQ(equal.exit_code, 0) << equal.err;
  EXPECT_THAT(equal.err, testing::HasSubstr("--compare-horizons has no effect"));
  EXPECT_EQ(json_of(equal)["other_horizons"], io::Json::array());
  EXPECT_EQ(run({"--compare-horizons", "--no-get-performance-stats"}).exit_code, 2);
}

TEST_F(GoldenEval, IgnoredFlagsSaySoAndRefusedOnesStop) {
  const Outcome ignored = run({"--video-backend", "decord", "--attn-implementation", "sdpa",
                               "--inference-mode", "pytorch", "--port", "5555", "--json"});
  EXPECT_EQ(ignored.exit_code, 0) << ignored.err;
  for (const char* flag :
       {"--video-backend", "--attn-implementation", "--inference-mode", "--port"}) {
    EXPECT_THAT(ignored.err, testing::HasSubstr(std::string("notice: ") + flag));
  }
  const Outcome refused = run({"--inference-mode", "tensorrt", "--trt-engine-path", "x.trt"});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, testing::HasSubstr("TensorRT"));
}

}  // namespace
}  // namespace sinew::test
