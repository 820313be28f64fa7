// Resolving processor files that are in order: values, their origins, the choice of embodiment, and
// the built-in tables.
#include "preprocess/action/action.h"
#include "preprocess/config/builtin_embodiments.h"
#include "preprocess/config/processor_config.h"
#include "preprocess/state/state.h"
#include "preprocess/state_action/fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sinew::preprocess {
namespace {

using io::Origin;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::Files;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const io::ResolvedValue& row(const ProcessorConfig& config, const std::string& key) {
  static const io::ResolvedValue none;
  const auto& rows = config.resolved.rows;
  const auto found = std::ranges::find(rows, key, &io::ResolvedValue::key);
  EXPECT_NE(found, rows.end()) << "no row " << key;
  return found == rows.end() ? none : *found;
}

void expect_row(const ProcessorConfig& config, const std::string& key, const std::string& value,
                Origin origin) {
  EXPECT_EQ(row(config, key).value, value) << key;
  EXPECT_EQ(row(config, key).origin, origin) << key;
  EXPECT_EQ(row(config, key).note.empty(), origin != Origin::kDefault)
      << key << ": a default needs its reason";
}

TEST(ProcessorConfig, RecordsWhereEachValueComesFrom) {
  const ProcessorConfig config = testing::resolve_or_fail(testing::example_files());
  EXPECT_EQ(config.embodiment_tag, "new_embodiment");
  EXPECT_EQ(config.embodiment_id, 7);
  expect_row(config, "embodiment.id", "7", Origin::kEmbodimentId);
  EXPECT_EQ(row(config, "embodiment.tag").origin, Origin::kStatistics);
  expect_row(config, "processor.shortest_image_edge", "256", Origin::kProcessorConfig);
  expect_row(config, "processor.crop_fraction", "0.95", Origin::kProcessorConfig);
  expect_row(config, "processor.use_relative_action", "true", Origin::kProcessorConfig);
  expect_row(config, "processor.max_state_dim", "32", Origin::kProcessorConfig);
  expect_row(config, "processor.formalize_language", "true", Origin::kDefault);
  expect_row(config, "processor.use_percentiles", "false", Origin::kDefault);
  expect_row(config, "processor.clip_outliers", "true", Origin::kDefault);
  expect_row(config, "processor.apply_sincos_state_encoding", "false", Origin::kDefault);
  expect_row(config, "action.delta_indices", "0, 1", Origin::kProcessorConfig);
  expect_row(config, "state.modality_keys", "arm, grip, eef", Origin::kProcessorConfig);
  expect_row(config, "action.eef", "RELATIVE EEF XYZ_ROT6D", Origin::kProcessorConfig);
  EXPECT_EQ(row(config, "state.arm.dims").value, "3");
  EXPECT_EQ(row(config, "state.arm.dims").origin, Origin::kStatistics);
  EXPECT_THAT(config.resolved.notices, IsEmpty());
  EXPECT_EQ(config.state_dims(), 13);
  EXPECT_EQ(config.action_dims(), 13);
}

TEST(ProcessorConfig, DefaultsAreThoseOfTheOriginalsCode) {
  Files files = testing::example_files();
  for (const char* const key : {"shortest_image_edge", "crop_fraction", "max_state_dim",
                                "max_action_dim", "use_relative_action"}) {
    files.kwargs().erase(key);
  }
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_EQ(config.shortest_image_edge, 512);
  EXPECT_EQ(config.crop_fraction, 0.95);
  EXPECT_EQ(config.max_state_dim, 29);
  EXPECT_EQ(config.max_action_dim, 29);
  EXPECT_FALSE(config.use_relative_action);
  expect_row(config, "processor.shortest_image_edge", "512", Origin::kDefault);
  expect_row(config, "processor.crop_fraction", "0.95", Origin::kDefault);
  EXPECT_THAT(config.resolved.notices, Contains(HasSubstr("max_state_dim is absent: 29")));
  EXPECT_THAT(config.resolved.notices, Contains(HasSubstr("max_action_dim is absent: 29")));
}

TEST(ProcessorConfig, NullImageSettingsFallBackToSizes) {
  Files files = testing::example_files();
  files.kwargs()["shortest_image_edge"] = nullptr;
  files.kwargs()["crop_fraction"] = nullptr;
  files.kwargs()["image_target_size"] = {240, 320};
  files.kwargs()["image_crop_size"] = {230, 300};
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_EQ(config.shortest_image_edge, 240);
  EXPECT_EQ(config.crop_fraction, 230.0 / 240.0);
  EXPECT_EQ(row(config, "processor.shortest_image_edge").note, "null; image_target_size[0]");
}

TEST(ProcessorConfig, TrainingSettingsDoNotMatter) {
  Files files = testing::example_files();
  files.kwargs()["random_rotation_angle"] = 15;
  files.kwargs()["color_jitter_params"] = {{"brightness", 0.3}, {"hue", 0.08}};
  files.kwargs()["max_action_horizon"] = nullptr;
  testing::resolve_or_fail(files);
}

TEST(ProcessorConfig, TagsMatchInAnyCase) {
  Files files = testing::example_files();
  for (const char* const tag : {"new_embodiment", "NEW_EMBODIMENT", "New_Embodiment"}) {
    const ProcessorConfig config = testing::resolve_or_fail(files, tag);
    EXPECT_EQ(config.embodiment_tag, "new_embodiment");
    expect_row(config, "embodiment.tag", "new_embodiment", Origin::kFlag);
  }
}

TEST(ProcessorConfig, IdComesFromTheFileAndElseFromTheTable) {
  Files files = testing::example_files();
  for (const io::Json& ids : {io::Json(nullptr), io::Json::object(), io::Json{{"gr1", 3}}}) {
    files.ids = ids;
    const ProcessorConfig config = testing::resolve_or_fail(files);
    EXPECT_EQ(config.embodiment_id, 10);
    expect_row(config, "embodiment.id", "10", Origin::kDefault);
  }
}

TEST(ProcessorConfig, TellsOfSettingsWithoutEffect) {
  Files files = testing::example_files();
  io::Json& modalities = files.kwargs()["modality_configs"]["new_embodiment"];
  modalities["state"]["sin_cos_embedding_keys"] = {"arm"};
  modalities["state"]["mean_std_embedding_keys"] = {"leg"};
  modalities["action"]["action_configs"][1]["rep"] = "DELTA";
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_EQ(config.state_dims(), 13);
  EXPECT_THAT(config.resolved.notices,
              ElementsAre(HasSubstr("state.mean_std_embedding_keys: \"leg\" is not among"),
                          HasSubstr("state.sin_cos_embedding_keys (arm): no effect"),
                          HasSubstr("action \"grip\" is DELTA: treated as ABSOLUTE")));
}

// Arrays that no rule reads may hold anything numeric.
TEST(ProcessorConfig, UnusedStatisticsNeedNotBeFinite) {
  Files files = testing::example_files();
  for (const char* const group : {"state", "action"}) {
    for (const char* const array : {"q01", "q99", "mean", "std"}) {
      files.statistics["new_embodiment"][group]["grip"][array][0] =
          std::numeric_limits<double>::quiet_NaN();
    }
  }
  for (const char* const array : {"min", "max"}) {  // a relative action reads the relative ones
    files.statistics["new_embodiment"]["action"]["arm"][array][1] =
        std::numeric_limits<double>::infinity();
  }
  testing::resolve_or_fail(files);
}

TEST(ProcessorConfig, ReadsTheNanoCheckpoint) {
  const Files files = testing::read_files("tests/golden/nano/checkpoint");
  const ProcessorConfig arm = testing::resolve_or_fail(files, "new_embodiment");
  EXPECT_THAT(arm.valid_tags, ElementsAre("libero_panda", "new_embodiment", "unitree_g1"));
  EXPECT_EQ(arm.embodiment_id, 2);
  EXPECT_THAT(arm.modalities.video.keys, ElementsAre("front", "wrist"));
  EXPECT_EQ(arm.state_dims(), 7);
  EXPECT_EQ(arm.action_steps(), 16);
  EXPECT_EQ(arm.shortest_image_edge, 256);
  EXPECT_TRUE(arm.use_percentiles);
  EXPECT_EQ(arm.statistics.relative_action.at("single_arm").steps, 16);

  const ProcessorConfig g1 = testing::resolve_or_fail(files, "unitree_g1");
  EXPECT_EQ(g1.embodiment_id, 3);
  EXPECT_THAT(g1.modalities.video.delta_indices, ElementsAre(-5, 0));
  EXPECT_EQ(g1.reference_state(2), "base_pose");
  EXPECT_EQ(g1.action_dims(), 16);

  const ProcessorConfig libero = testing::resolve_or_fail(files, "libero_panda");
  EXPECT_EQ(libero.embodiment_id, 1);
  EXPECT_EQ(libero.action_steps(), 8);
  EXPECT_EQ(libero.state_dims(), 8);  // the sin/cos flag is off
}

TEST(BuiltinEmbodiments, IdsOfTheTable) {
  const std::vector<std::pair<const char*, int64_t>> table = {{"robocasa_panda_omron", 13},
                                                              {"gr1", 20},
                                                              {"behavior_r1_pro", 24},
                                                              {"unitree_g1", 8},
                                                              {"oxe_google", 0},
                                                              {"libero_panda", 2},
                                                              {"oxe_widowx", 1},
                                                              {"oxe_droid", 16},
                                                              {"new_embodiment", 10}};
  EXPECT_EQ(builtin_embodiment_ids().size(), table.size());
  for (const auto& [tag, id] : table) {
    EXPECT_EQ(builtin_embodiment_id(tag), id) << tag;
  }
  EXPECT_EQ(builtin_embodiment_id("NEW_EMBODIMENT"), std::nullopt);
}

class BuiltinEmbodimentTest : public ::testing::TestWithParam<BuiltinEmbodiment> {};

// A checkpoint with statistics only: the tables supply the rest, and states and actions pass.
TEST_P(BuiltinEmbodimentTest, ResolvesAndServes) {
  const BuiltinEmbodiment& embodiment = GetParam();
  const std::string tag(embodiment.tag);
  constexpr int64_t kDims = 2;
  Files files = testing::example_files();
  files.kwargs()["max_state_dim"] = files.kwargs()["max_action_dim"] = 128;
  files.ids = nullptr;
  files.statistics = io::Json::object();
  io::Json& statistics = files.statistics[tag];
  for (const std::string_view key : embodiment.state_keys) {
    statistics["state"][std::string(key)] = testing::flat_statistics(kDims);
  }
  for (const BuiltinActionKey& key : embodiment.action_keys) {
    statistics["action"][std::string(key.name)] = testing::flat_statistics(kDims);
    if (key.relative) {
      statistics["relative_action"][std::string(key.name)] =
          testing::stepwise_statistics(embodiment.action_steps, kDims);
    }
  }
  const ProcessorConfig config = testing::resolve_or_fail(files);
  EXPECT_EQ(config.embodiment_tag, tag);
  EXPECT_EQ(config.embodiment_id, builtin_embodiment_id(tag));
  EXPECT_EQ(row(config, "video.modality_keys").origin, Origin::kDefault);
  EXPECT_EQ(config.modalities.language.keys.size(), 1U);
  EXPECT_EQ(config.action_steps(), embodiment.action_steps);

  testing::States states;
  for (const std::string& key : config.modalities.state.keys) {
    states.add(key, {0.5F, 0.25F});
  }
  std::vector<float> encoded(128);
  EXPECT_TRUE(encode_state(config, states.groups(), encoded).ok());
  const std::vector<float> normalized(static_cast<size_t>(config.action_steps() * 128), 0.0F);
  for (size_t k = 0; k < config.modalities.action.keys.size(); ++k) {
    std::vector<double> out;
    const Status status =
        decode_action_key(config, k, normalized, config.action_steps(), states.groups(), out);
    EXPECT_TRUE(status.ok()) << status.message();
    const bool standardised =
        !embodiment.mean_std_action_keys.empty() && config.modalities.action.keys[k] != "gripper";
    EXPECT_EQ(out[0], embodiment.action_keys[k].relative ? 1.0 : standardised ? 0.25 : 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, BuiltinEmbodimentTest,
                         ::testing::ValuesIn(builtin_embodiments().begin(),
                                             builtin_embodiments().end()),
                         [](const auto& entry) { return std::string(entry.param.tag); });

// The lengths of section 7.1.
TEST(BuiltinEmbodiments, ShapesOfTheTable) {
  struct Row {
    const char* tag;
    size_t video, state, action;
    int64_t steps;
    size_t relative;
  };

  const std::vector<Row> table = {
      {"unitree_g1", 1, 7, 7, 30, 2},       {"libero_panda", 2, 7, 7, 16, 0},
      {"oxe_widowx", 1, 8, 7, 8, 0},        {"oxe_google", 1, 8, 7, 8, 0},
      {"behavior_r1_pro", 3, 21, 6, 32, 3}, {"oxe_droid", 2, 2, 2, 32, 1}};
  EXPECT_EQ(builtin_embodiments().size(), table.size());
  for (const Row& expected : table) {
    const BuiltinEmbodiment* const found = find_builtin_embodiment(expected.tag);
    ASSERT_NE(found, nullptr) << expected.tag;
    EXPECT_EQ(found->video_keys.size(), expected.video) << expected.tag;
    EXPECT_EQ(found->state_keys.size(), expected.state) << expected.tag;
    EXPECT_EQ(found->action_keys.size(), expected.action) << expected.tag;
    EXPECT_EQ(found->action_steps, expected.steps) << expected.tag;
    EXPECT_EQ(
        static_cast<size_t>(std::ranges::count_if(found->action_keys, &BuiltinActionKey::relative)),
        expected.relative)
        << expected.tag;
  }
  EXPECT_EQ(find_builtin_embodiment("gr1"), nullptr);
}

TEST(Modalities, ParsesAFileOfItsOwn) {
  const io::Json json = {
      {"action", {{"delta_indices", {0, 1}}, {"modality_keys", {"arm"}}}},
  };
  const Result<Modalities> modalities = parse_modalities({json, "robot.json"});
  ASSERT_TRUE(modalities.ok()) << modalities.status().message();
  EXPECT_THAT(modalities.value().action.keys, ElementsAre("arm"));
  EXPECT_THAT(modalities.value().action.action_configs, IsEmpty());
  EXPECT_THAT(modalities.value().video.keys, IsEmpty());
}

}  // namespace
}  // namespace sinew::preprocess
