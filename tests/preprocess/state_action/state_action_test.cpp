// Properties of state encoding and action decoding that follow from the specification (section 9),
// and what both do with observations that do not fit.
#include "preprocess/action/action.h"
#include "preprocess/state/state.h"
#include "preprocess/state_action/fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace sinew::preprocess {
namespace {

using ::testing::ElementsAre;
using testing::Files;
using ::testing::HasSubstr;
using testing::States;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const std::vector<float> kPose = {0.1F, 0.2F, 0.3F, 1, 0, 0, 0, 1, 0};

States example_states() {
  States states;
  states.add("arm", {1, 2, 3});
  states.add("grip", {0.5F});
  states.add("eef", kPose);
  return states;
}

std::vector<float> encode_group(const ProcessorConfig& config, const std::string& key,
                                std::vector<float> values) {
  std::vector<float> out(static_cast<size_t>(encoded_width(config, key)));
  const auto dims = static_cast<int64_t>(values.size());
  const Status status = encode_state_group(config, {key, values, 1, dims}, out);
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

// Every entry of the prediction is `value`.
std::vector<double> decode_constant(const ProcessorConfig& config, size_t key, float value) {
  const std::vector<float> normalized(
      static_cast<size_t>(config.action_steps() * config.max_action_dim), value);
  std::vector<double> out;
  const Status status = decode_action_key(config, key, normalized, config.action_steps(),
                                          example_states().groups(), out);
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

TEST(StateEncoding, EndsOfTheRangeAreOne) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  EXPECT_THAT(encode_group(config, "arm", {-1, -2, -3}), ElementsAre(-1, -1, -1));
  EXPECT_THAT(encode_group(config, "arm", {1, 2, 3}), ElementsAre(1, 1, 1));
  EXPECT_THAT(encode_group(config, "arm", {-50, 1, 3e38F}), ElementsAre(-1, 0.5, 1));
}

TEST(StateEncoding, QuantilesReplaceTheRange) {
  Files files = testing::example_files();
  files.kwargs()["use_percentiles"] = true;
  files.kwargs()["clip_outliers"] = false;
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_THAT(encode_group(config, "arm", {0.9F, -1.8F, 3.0F}),
              ElementsAre(1, -1, ::testing::FloatNear(3.0F / 2.7F, 1e-6F)));
}

TEST(StateEncoding, DeadDimensionIsZero) {
  Files files = testing::example_files();
  io::Json& arm = files.statistics["new_embodiment"]["state"]["arm"];
  arm["min"] = {5.0, 5.0, 0.0};
  arm["max"] = {5.0, 5.0 + 4.9e-5, 0.9e-8};
  const ProcessorConfig dead = testing::resolve_or_fail(files);
  EXPECT_THAT(encode_group(dead, "arm", {7, 7, 7}), ElementsAre(0, 0, 0));
  EXPECT_THAT(dead.resolved.notices,
              ::testing::Contains(HasSubstr("state.arm: no spread in dimension 0, 1, 2")));
  arm["max"] = {5.0, 5.0 + 5.2e-5, 1.1e-8};
  const ProcessorConfig live = testing::resolve_or_fail(files);
  EXPECT_THAT(encode_group(live, "arm", {7, 7, 7}), ElementsAre(0, 1, 1));
}

TEST(StateEncoding, MeanStdDoesNotClipAndPassesConstants) {
  Files files = testing::example_files();
  files.kwargs()["modality_configs"]["new_embodiment"]["state"]["mean_std_embedding_keys"] = {
      "arm"};
  files.statistics["new_embodiment"]["state"]["arm"]["std"] = {0.5, 0.0, 0.5};
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_THAT(encode_group(config, "arm", {0.25F, 42, 100.25F}), ElementsAre(0, 42, 200));
}

TEST(StateEncoding, SinCosGoesBeforeMeanStd) {
  Files files = testing::example_files();
  files.kwargs()["apply_sincos_state_encoding"] = true;
  io::Json& state = files.kwargs()["modality_configs"]["new_embodiment"]["state"];
  state["mean_std_embedding_keys"] = {"arm"};
  state["sin_cos_embedding_keys"] = {"arm"};
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_EQ(config.state_dims(), 6 + 1 + 9);
  const std::vector<float> out = encode_group(config, "arm", {0, 0.5F, 3});
  EXPECT_THAT(out,
              ElementsAre(0, std::sin(0.5F), std::sin(3.0F), 1, std::cos(0.5F), std::cos(3.0F)));
}

TEST(StateEncoding, TakesGroupsInAnyOrderAndIgnoresOthers) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  std::vector<float> expected(32);
  ASSERT_TRUE(encode_state(config, example_states().groups(), expected).ok());
  States mixed;
  mixed.add("camera_pose", {kNan});
  mixed.add("eef", kPose);
  mixed.add("grip", {0.5F});
  mixed.add("arm", {1, 2, 3});
  std::vector<float> actual(32, 9.0F);
  ASSERT_TRUE(encode_state(config, mixed.groups(), actual).ok());
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(encoded_width(config, "camera_pose"), 0);
}

struct BadState {
  const char* name;
  std::vector<StateGroup> groups;
  Code code;
  const char* message;
};

TEST(StateEncoding, RefusesWhatDoesNotFit) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  const std::vector<float> arm = {1, 2, 3};
  const std::vector<float> grip = {0.5F};
  const std::vector<float> not_finite = {1, kNan, 3};
  const std::vector<float> infinite = {-kInfinity};
  const std::vector<float> six(6, 0.0F);
  const StateGroup good_arm{"arm", arm, 1, 3};
  const StateGroup good_grip{"grip", grip, 1, 1};
  const StateGroup good_eef{"eef", kPose, 1, 9};
  const std::vector<BadState> table = {
      {"missing", {good_arm, good_eef}, Code::kNotFound, "state \"grip\" is missing"},
      {"wide",
       {{"arm", six, 1, 6}, good_grip, good_eef},
       Code::kBadInput,
       "state \"arm\": expected [1, 3] (steps, dimensions), found [1, 6]"},
      {"two steps", {{"arm", six, 2, 3}, good_grip, good_eef}, Code::kBadInput, "found [2, 3]"},
      {"too few values",
       {{"arm", grip, 1, 3}, good_grip, good_eef},
       Code::kBadInput,
       "with 1 values"},
      {"empty", {{"arm", {}, 1, 3}, good_grip, good_eef}, Code::kBadInput, "with 0 values"},
      {"nan",
       {{"arm", not_finite, 1, 3}, good_grip, good_eef},
       Code::kBadInput,
       "state \"arm\": expected finite numbers, found nan at step 0, dimension 1"},
      {"infinity",
       {good_arm, {"grip", infinite, 1, 1}, good_eef},
       Code::kBadInput,
       "state \"grip\": expected finite numbers, found -inf"},
  };
  const StateEncoder encoder(config);
  for (const BadState& row : table) {
    std::vector<float> dst(32);
    const Status status = encoder.encode(row.groups, dst);
    EXPECT_EQ(status.code(), row.code) << row.name;
    EXPECT_THAT(status.message(), HasSubstr(row.message)) << row.name;
  }
  std::vector<float> none;
  EXPECT_EQ(encoder.encode_group({"tail", arm, 1, 3}, none).code(), Code::kNotFound);
}

TEST(ActionDecoding, OneIsTheEndOfTheRange) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  EXPECT_THAT(decode_constant(config, 1, 1.0F), ElementsAre(1, 1));
  EXPECT_THAT(decode_constant(config, 1, -1.0F), ElementsAre(-1, -1));
  EXPECT_THAT(decode_constant(config, 1, 7.0F), ElementsAre(1, 1));
}

TEST(ActionDecoding, DeadDimensionStaysInItsSliver) {
  Files files = testing::example_files();
  io::Json& grip = files.statistics["new_embodiment"]["action"]["grip"];
  grip["min"] = {2.0};
  grip["max"] = {2.0};
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_THAT(decode_constant(config, 1, 0.3F), ElementsAre(2, 2));
}

// Section 9.4: all zeros decode to the reference plus the middle of each step's own range.
TEST(ActionDecoding, RelativeRangesBelongToSteps) {
  Files files = testing::example_files();
  for (const bool percentiles : {false, true}) {  // which relative actions do not heed
    files.kwargs()["use_percentiles"] = percentiles;
    const ProcessorConfig config = testing::resolve_or_fail(files);
    EXPECT_THAT(decode_constant(config, 0, 0.0F), ElementsAre(1.5, 2.5, 3.5, 2, 3, 4));
    EXPECT_THAT(decode_constant(config, 0, -2.0F), ElementsAre(0, 1, 2, -1, 0, 1));
  }
}

TEST(ActionDecoding, RelativeMeanStdReadsTheRelativeStatistics) {
  Files files = testing::example_files();
  files.kwargs()["modality_configs"]["new_embodiment"]["action"]["mean_std_embedding_keys"] = {
      "arm"};
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_THAT(decode_constant(config, 0, 3.0F), ElementsAre(2.75, 3.75, 4.75, 4.5, 5.5, 6.5));
}

TEST(ActionDecoding, ReferenceIsTheLastStepOfTheState) {
  Files files = testing::example_files();
  io::Json& modalities = files.kwargs()["modality_configs"]["new_embodiment"];
  modalities["state"]["delta_indices"] = {-1, 0};
  const ProcessorConfig config = testing::resolve_or_fail(files);
  const std::vector<float> arm = {9, 9, 9, 1, 2, 3};
  const std::vector<StateGroup> groups = {{"arm", arm, 2, 3}};
  const std::vector<float> normalized(64, 0.0F);
  std::vector<double> out;
  ASSERT_TRUE(decode_action_key(config, 0, normalized, 2, groups, out).ok());
  EXPECT_THAT(out, ElementsAre(1.5, 2.5, 3.5, 2, 3, 4));
}

TEST(ActionDecoding, WithoutTheFlagRelativeIsAbsolute) {
  Files files = testing::example_files();
  files.kwargs()["use_relative_action"] = false;
  files.statistics["new_embodiment"].erase("relative_action");
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_THAT(decode_constant(config, 0, 1.0F), ElementsAre(1, 2, 3, 1, 2, 3));
  EXPECT_EQ(decode_constant(config, 2, 1.0F).size(), 18U);
  EXPECT_THAT(config.resolved.notices,
              ::testing::Contains(HasSubstr("\"arm\" is RELATIVE: treated as ABSOLUTE")));
}

TEST(ActionDecoding, LayoutFollowsTheAbsoluteStatistics) {
  Files files = testing::example_files();
  io::Json& configs =
      files.kwargs()["modality_configs"]["new_embodiment"]["action"]["action_configs"];
  configs[2]["format"] = "XYZ_ROTVEC";
  const std::vector<ActionKeyLayout> layout = action_layout(testing::resolve_or_fail(files));
  ASSERT_EQ(layout.size(), 3U);
  EXPECT_EQ(layout[1].key, "grip");
  EXPECT_EQ(layout[1].offset, 3);
  EXPECT_EQ(layout[2].offset, 4);
  EXPECT_EQ(layout[2].dims, 9);
  EXPECT_EQ(layout[2].output_dims, 6);
}

TEST(ActionRoundTrip, EncodeThenDecode) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  const States states = example_states();
  const std::vector<std::vector<float>> raw = {
      {1.5F, 2.25F, 3.5F, 1.1F, 2.9F, 4.0F},
      {-0.75F, 0.25F},
      // turned by 90 degrees about z, then upside down
      {0.5F, 0.25F, 0.75F, 0, -1, 0, 1, 0, 0, 0.125F, 0.5F, 0.25F, 1, 0, 0, 0, -1, 0},
  };
  const std::vector<ActionKeyLayout> layout = action_layout(config);
  std::vector<float> normalized(64, 0.0F);
  for (size_t k = 0; k < raw.size(); ++k) {
    std::vector<double> encoded;
    const Status status = encode_action_key(config, k, raw[k], states.groups(), encoded);
    ASSERT_TRUE(status.ok()) << status.message();
    const auto dims = static_cast<size_t>(layout[k].dims);
    for (size_t i = 0; i < encoded.size(); ++i) {
      normalized[i / dims * 32 + static_cast<size_t>(layout[k].offset) + i % dims] =
          static_cast<float>(encoded[i]);
    }
  }
  for (size_t k = 0; k < raw.size(); ++k) {
    std::vector<double> decoded;
    ASSERT_TRUE(decode_action_key(config, k, normalized, 2, states.groups(), decoded).ok());
    ASSERT_EQ(decoded.size(), raw[k].size());
    for (size_t i = 0; i < decoded.size(); ++i) {
      EXPECT_NEAR(decoded[i], raw[k][i], 1e-6) << layout[k].key << " at " << i;
    }
  }
}

struct BadReference {
  const char* name;
  size_t key;
  int64_t horizon;
  std::vector<StateGroup> groups;
  Code code;
  const char* message;
};

TEST(ActionDecoding, RefusesWhatDoesNotFit) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  const std::vector<float> arm = {1, 2, 3};
  const std::vector<float> not_finite = {1, 2, kInfinity};
  const std::vector<float> zeros(9, 0.0F);
  const StateGroup good_arm{"arm", arm, 1, 3};
  const std::vector<BadReference> table = {
      {"short horizon", 0, 1, {good_arm}, Code::kBadInput, "needs 2 steps"},
      {"no reference", 0, 2, {}, Code::kNotFound, "state \"arm\" is missing"},
      {"narrow", 0, 2, {{"arm", arm, 3, 1}}, Code::kBadInput, "found [3, 1] with 3 values"},
      {"no steps", 0, 2, {{"arm", {}, 0, 3}}, Code::kBadInput, "found [0, 3]"},
      {"fewer values", 0, 2, {{"arm", arm, 2, 3}}, Code::kBadInput, "with 3 values"},
      {"not finite", 0, 2, {{"arm", not_finite, 1, 3}}, Code::kBadInput, "found inf"},
      {"no rotation", 2, 2, {{"eef", zeros, 1, 9}}, Code::kBadInput, "are no rotation"},
  };
  for (const BadReference& row : table) {
    const std::vector<float> normalized(static_cast<size_t>(row.horizon * 32), 0.25F);
    std::vector<double> out;
    const Status status =
        decode_action_key(config, row.key, normalized, row.horizon, row.groups, out);
    EXPECT_EQ(status.code(), row.code) << row.name;
    EXPECT_THAT(status.message(), HasSubstr(row.message)) << row.name;
  }
}

// Equal numbers in both rows: parallel, so no rotation. The network's fault, not the client's.
TEST(ActionDecoding, ReportsADegeneratePrediction) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  const std::vector<float> normalized(64, 0.25F);
  std::vector<double> out;
  const Status status = decode_action_key(config, 2, normalized, 2, example_states().groups(), out);
  EXPECT_EQ(status.code(), Code::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("\"eef\": the network predicts no rotation at step 0"));
}

TEST(ActionEncoding, RefusesWhatDoesNotFit) {
  Files files = testing::example_files();
  const States states = example_states();
  std::vector<double> out;
  const ProcessorConfig config = testing::resolve_or_fail(files);
  const std::vector<float> five(5, 0.0F);
  const Status narrow = encode_action_key(config, 0, five, states.groups(), out);
  EXPECT_EQ(narrow.code(), Code::kBadInput);
  EXPECT_THAT(narrow.message(), HasSubstr("\"arm\": expected 6 values ([2, 3]), found 5"));
  const std::vector<float> zeros(18, 0.0F);
  EXPECT_EQ(encode_action_key(config, 2, zeros, states.groups(), out).code(), Code::kBadInput);

  files.kwargs()["modality_configs"]["new_embodiment"]["action"]["action_configs"][2]["format"] =
      "XYZ_ROTVEC";
  const ProcessorConfig rotvec = testing::resolve_or_fail(files);
  EXPECT_EQ(encode_action_key(rotvec, 2, zeros, states.groups(), out).code(), Code::kUnsupported);
}

}  // namespace
}  // namespace sinew::preprocess
