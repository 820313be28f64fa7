// Processor files that are out of order, one fault at a time: the right code, and a message that
// names the file, the place, what was expected and what was found.
#include "preprocess/config/processor_config.h"
#include "preprocess/state_action/fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace sinew::preprocess {
namespace {

using io::Json;
using testing::Files;
using ::testing::HasSubstr;

struct Fault {
  const char* name;
  std::function<void(Files&)> damage;
  std::vector<const char*> message;  // parts
  Code code = Code::kBadInput;
  const char* tag = "";
};

Json& modality(Files& files, const char* name) {
  return files.kwargs()["modality_configs"]["new_embodiment"][name];
}

Json& action_config(Files& files, size_t index) {
  return modality(files, "action")["action_configs"][index];
}

Json& statistics(Files& files) {
  return files.statistics["new_embodiment"];
}

void expect_refused(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.name);
    Files files = testing::example_files();
    fault.damage(files);
    const Result<ProcessorConfig> config = files.resolve(fault.tag);
    ASSERT_FALSE(config.ok());
    EXPECT_EQ(config.status().code(), fault.code) << config.status().message();
    for (const char* const part : fault.message) {
      EXPECT_THAT(config.status().message(), HasSubstr(part));
    }
  }
}

TEST(BadProcessorConfig, Frame) {
  expect_refused({
      {"not an object",
       [](Files& f) {
         f.processor = {1, 2};
       },
       {"ck/processor_config.json"}},
      {"no class",
       [](Files& f) { f.processor.erase("processor_class"); },
       {"ck/processor_config.json", "\"processor_class\" is missing"}},
      {"another class",
       [](Files& f) { f.processor["processor_class"] = "Gr00tN1d5Processor"; },
       {"processor_class", "expected \"Gr00tN1d6Processor\"", "found \"Gr00tN1d5Processor\""}},
      {"no kwargs",
       [](Files& f) { f.processor.erase("processor_kwargs"); },
       {"ck/processor_config.json", "\"processor_kwargs\" is missing"}},
      {"kwargs a list", [](Files& f) { f.kwargs() = {1}; }, {"processor_kwargs", "object"}},
      {"unknown kwarg",
       [](Files& f) { f.kwargs()["crop_fractoin"] = 1; },
       {"ck/processor_config.json", "processor_kwargs", "unknown key \"crop_fractoin\"",
        "crop_fraction"}},
      {"no modality configs",
       [](Files& f) { f.kwargs().erase("modality_configs"); },
       {"\"modality_configs\" is missing"}},
      {"modality configs null",
       [](Files& f) { f.kwargs()["modality_configs"] = nullptr; },
       {"\"modality_configs\" is null"}},
  });
}

TEST(BadProcessorConfig, Flags) {
  expect_refused({
      {"bool as text",
       [](Files& f) { f.kwargs()["use_percentiles"] = "true"; },
       {"ck/processor_config.json", "processor_kwargs.use_percentiles", "expected true or false",
        "found \"true\""}},
      {"bool as null",
       [](Files& f) { f.kwargs()["clip_outliers"] = nullptr; },
       {"processor_kwargs.clip_outliers", "null"}},
      {"int as float",
       [](Files& f) { f.kwargs()["max_state_dim"] = 32.5; },
       {"processor_kwargs.max_state_dim", "integer", "32.5"}},
      {"int below range",
       [](Files& f) { f.kwargs()["max_action_dim"] = 0; },
       {"processor_kwargs.max_action_dim", "0"}},
      {"torchvision",
       [](Files& f) { f.kwargs()["use_albumentations"] = false; },
       {"use_albumentations is false", "torchvision"}},
      {"torchvision by default",
       [](Files& f) { f.kwargs().erase("use_albumentations"); },
       {"use_albumentations is absent, which means false", "torchvision"}},
      {"another vision model",
       [](Files& f) { f.kwargs()["model_type"] = "qwen"; },
       {"processor_kwargs.model_type", "expected \"eagle\"", "found \"qwen\""}},
      {"edge 0",
       [](Files& f) { f.kwargs()["shortest_image_edge"] = 0; },
       {"processor_kwargs.shortest_image_edge"}},
      {"no size at all",
       [](Files& f) { f.kwargs()["shortest_image_edge"] = nullptr; },
       {"shortest_image_edge and image_target_size are both null"}},
      {"target of one side",
       [](Files& f) {
         f.kwargs()["shortest_image_edge"] = nullptr;
         f.kwargs()["image_target_size"] = {256};
       },
       {"image_target_size", "expected [height, width]", "found [256]"}},
      {"no crop at all",
       [](Files& f) { f.kwargs()["crop_fraction"] = nullptr; },
       {"crop_fraction is null", "image_crop_size"}},
      {"crop beyond the image",
       [](Files& f) { f.kwargs()["crop_fraction"] = 1.5; },
       {"crop_fraction: expected a number above 0 and up to 1, found 1.5"}},
      {"crop not a number",
       [](Files& f) { f.kwargs()["crop_fraction"] = std::numeric_limits<double>::quiet_NaN(); },
       {"crop_fraction", "found nan"}},
  });
}

TEST(BadProcessorConfig, Embodiment) {
  const auto two_tags = [](Files& f) {
    f.kwargs()["modality_configs"]["gr1"] = f.kwargs()["modality_configs"]["new_embodiment"];
    f.statistics["gr1"] = f.statistics["new_embodiment"];
  };
  expect_refused({
      {"no tag, two embodiments",
       two_tags,
       {"ck/statistics.json", "2 embodiments", "--embodiment-tag", "gr1, new_embodiment"},
       Code::kUsage},
      {"unknown tag",
       two_tags,
       {"\"spot\"", "expected one of gr1, new_embodiment"},
       Code::kNotFound,
       "spot"},
      {"configured, but without statistics",
       [](Files& f) {
         f.kwargs()["modality_configs"]["gr1"] = f.kwargs()["modality_configs"]["new_embodiment"];
       },
       {"no statistics", "new_embodiment"},
       Code::kNotFound,
       "gr1"},
      {"statistics of nothing",
       [](Files& f) { f.statistics = Json::object(); },
       {"ck/statistics.json", "at least one embodiment"}},
      {"statistics a list", [](Files& f) { f.statistics = {1}; }, {"ck/statistics.json", "object"}},
      {"statistics without a configuration",
       [](Files& f) { f.statistics["spot"] = f.statistics["new_embodiment"]; },
       {"ck/statistics.json", "\"spot\" has statistics but no modality configuration"},
       Code::kBadInput,
       "new_embodiment"},
      {"id as text",
       [](Files& f) { f.ids["new_embodiment"] = "7"; },
       {"ck/embodiment_id.json", "new_embodiment", "\"7\""}},
      {"negative id",
       [](Files& f) { f.ids["new_embodiment"] = -1; },
       {"ck/embodiment_id.json", "-1"}},
      {"ids a list", [](Files& f) { f.ids = {1}; }, {"ck/embodiment_id.json", "object"}},
      {"id of neither source",
       [](Files& f) {
         f.kwargs()["modality_configs"]["spot"] = f.kwargs()["modality_configs"]["new_embodiment"];
         f.statistics["spot"] = f.statistics["new_embodiment"];
       },
       {"ck/embodiment_id.json", "no id for the embodiment \"spot\""},
       Code::kBadInput,
       "spot"},
  });
}

TEST(BadProcessorConfig, Modality) {
  expect_refused({
      {"fifth modality",
       [](Files& f) { modality(f, "touch") = Json::object(); },
       {"new_embodiment", "unknown key \"touch\""}},
      {"no video",
       [](Files& f) { f.kwargs()["modality_configs"]["new_embodiment"].erase("video"); },
       {"new_embodiment", "\"video\" is missing"}},
      {"null state", [](Files& f) { modality(f, "state") = nullptr; }, {"\"state\" is missing"}},
      {"unknown field",
       [](Files& f) { modality(f, "state")["keys"] = {"arm"}; },
       {"new_embodiment.state", "unknown key \"keys\"", "modality_keys"}},
      {"no deltas",
       [](Files& f) { modality(f, "action").erase("delta_indices"); },
       {"new_embodiment.action", "\"delta_indices\" is missing"}},
      {"empty deltas",
       [](Files& f) { modality(f, "action")["delta_indices"] = Json::array(); },
       {"action.delta_indices", "expected 1 to", "found 0"}},
      {"delta too far",
       [](Files& f) { modality(f, "video")["delta_indices"] = {1 << 30}; },
       {"video.delta_indices", "found 1073741824"}},
      {"empty keys",
       [](Files& f) { modality(f, "state")["modality_keys"] = Json::array(); },
       {"state.modality_keys", "at least one key"}},
      {"key twice",
       [](Files& f) {
         modality(f, "state")["modality_keys"] = {"arm", "arm"};
       },
       {"state.modality_keys", "\"arm\" occurs twice"}},
      {"nameless key",
       [](Files& f) { modality(f, "video")["modality_keys"] = {""}; },
       {"video.modality_keys", "empty"}},
      {"keys not text",
       [](Files& f) { modality(f, "video")["modality_keys"] = {1}; },
       {"video.modality_keys", "string"}},
      {"two language keys",
       [](Files& f) {
         modality(f, "language")["modality_keys"] = {"a", "b"};
       },
       {"new_embodiment.language", "exactly 1 key and 1 delta index, found 2 and 1"}},
      {"two language steps",
       [](Files& f) {
         modality(f, "language")["delta_indices"] = {0, 1};
       },
       {"new_embodiment.language", "found 1 and 2"}},
  });
}

TEST(BadProcessorConfig, ActionConfigs) {
  expect_refused({
      {"too few",
       [](Files& f) { modality(f, "action")["action_configs"].erase(2); },
       {"action.action_configs", "each of the 3 modality_keys, found 2"}},
      {"too many, of states",
       [](Files& f) { modality(f, "state")["action_configs"] = Json(4, action_config(f, 0)); },
       {"state.action_configs", "found 4"}},
      {"no rep",
       [](Files& f) { action_config(f, 0).erase("rep"); },
       {"action_configs[0]", "\"rep\" is missing"}},
      {"lower case",
       [](Files& f) { action_config(f, 0)["rep"] = "relative"; },
       {"rep", "expected one of RELATIVE, DELTA, ABSOLUTE, found \"relative\""}},
      {"unknown type",
       [](Files& f) { action_config(f, 1)["type"] = "ARM"; },
       {"type", "EEF, NON_EEF", "found \"ARM\""}},
      {"unknown format",
       [](Files& f) { action_config(f, 1)["format"] = "XYZ_EULER"; },
       {"XYZ_ROT6D", "found \"XYZ_EULER\""}},
      {"unknown field",
       [](Files& f) { action_config(f, 1)["frame"] = "base"; },
       {"unknown key \"frame\""}},
      {"state key no text",
       [](Files& f) { action_config(f, 1)["state_key"] = 3; },
       {"state_key", "3"}},
      {"pose with DEFAULT",
       [](Files& f) { action_config(f, 2)["format"] = "DEFAULT"; },
       {"ck/processor_config.json", "action.action_configs[2] (eef)", "DEFAULT", "4x4",
        "expected XYZ_ROT6D or XYZ_ROTVEC"}},
      {"joints with ROT6D",
       [](Files& f) { action_config(f, 0)["format"] = "XYZ_ROT6D"; },
       {"action.action_configs[0] (arm)", "must have the format DEFAULT"}},
      {"reference nowhere",
       [](Files& f) { action_config(f, 0)["state_key"] = "leg"; },
       {"action_configs[0] (arm)", "relative to the state \"leg\"",
        "expected one of the state keys arm, grip, eef"}},
      {"reference of another width",
       [](Files& f) { action_config(f, 0)["state_key"] = "eef"; },
       {"ck/statistics.json", "relative_action.arm", "3 dimensions", "state \"eef\"", "has 9"}},
      {"pose of 3 numbers",
       [](Files& f) {
         action_config(f, 0)["type"] = "EEF";
         action_config(f, 0)["format"] = "XYZ_ROT6D";
       },
       {"ck/statistics.json", "relative_action.arm", "expected 9 dimensions", "found 3"}},
  });
}

TEST(BadProcessorConfig, Statistics) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  expect_refused({
      {"no state",
       [](Files& f) { statistics(f).erase("state"); },
       {"ck/statistics.json", "new_embodiment", "\"state\" is missing"}},
      {"no action", [](Files& f) { statistics(f).erase("action"); }, {"\"action\" is missing"}},
      {"no key",
       [](Files& f) { statistics(f)["state"].erase("grip"); },
       {"ck/statistics.json: new_embodiment.state", "\"grip\" is missing", "arm, eef"}},
      {"no bounds",
       [](Files& f) {
         for (Json& key : statistics(f)["action"]) {
           key.erase("min");
           key.erase("q01");
         }
       },
       {"new_embodiment.action.arm", "\"min\" is missing", "six arrays"}},
      {"one array missing, unused",
       [](Files& f) { statistics(f)["state"]["arm"].erase("q99"); },
       {"new_embodiment.state.arm", "\"q99\" is missing"}},
      {"unequal lengths",
       [](Files& f) {
         statistics(f)["state"]["arm"]["std"] = {1, 1};
       },
       {"new_embodiment.state.arm.std", "expected 3 values as in \"min\", found 2"}},
      {"empty",
       [](Files& f) { statistics(f)["state"]["grip"]["min"] = Json::array(); },
       {"state.grip.min", "at least one value"}},
      {"not numbers",
       [](Files& f) { statistics(f)["state"]["grip"]["max"] = {"1"}; },
       {"state.grip.max", "\"1\""}},
      {"nested",
       [](Files& f) { statistics(f)["state"]["grip"]["max"] = {{1}}; },
       {"state.grip.max"}},
      {"nan",
       [=](Files& f) { statistics(f)["state"]["arm"]["min"][1] = nan; },
       {"new_embodiment.state.arm", "\"min\"", "nan at index 1", "expected finite"}},
      {"infinity",
       [=](Files& f) { statistics(f)["action"]["grip"]["max"][0] = infinity; },
       {"new_embodiment.action.grip", "\"max\"", "inf at index 0"}},
      {"nan in the quantiles that are used",
       [=](Files& f) {
         f.kwargs()["use_percentiles"] = true;
         statistics(f)["state"]["arm"]["q99"][2] = nan;
       },
       {"state.arm", "\"q99\"", "nan at index 2"}},
      {"nan in the mean that is used",
       [=](Files& f) {
         modality(f, "state")["mean_std_embedding_keys"] = {"arm"};
         statistics(f)["state"]["arm"]["mean"][2] = nan;
       },
       {"state.arm", "\"mean\"", "nan at index 2"}},
      {"negative deviation",
       [](Files& f) {
         modality(f, "state")["mean_std_embedding_keys"] = {"arm"};
         statistics(f)["state"]["arm"]["std"][0] = -1;
       },
       {"state.arm", "\"std\" is -1"}},
      {"range upside down",
       [](Files& f) { statistics(f)["state"]["arm"]["min"][0] = 2; },
       {"state.arm", "\"min\" is 2", "\"max\" is 1 at index 0"}},
      {"range overflows",
       [](Files& f) {
         statistics(f)["state"]["arm"]["min"][0] = -1.7e308;
         statistics(f)["state"]["arm"]["max"][0] = 1.7e308;
       },
       {"state.arm", "finite range"}},
  });
}

TEST(BadProcessorConfig, RelativeStatistics) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_refused({
      {"none",
       [](Files& f) { statistics(f).erase("relative_action"); },
       {"ck/statistics.json", "\"relative_action\" is missing", "\"arm\" is RELATIVE"}},
      {"none of the key",
       [](Files& f) { statistics(f)["relative_action"].erase("eef"); },
       {"new_embodiment.relative_action", "\"eef\" is missing"}},
      {"too few steps",
       [](Files& f) {
         statistics(f)["relative_action"]["arm"] = testing::stepwise_statistics(1, 3);
       },
       {"relative_action.arm.min", "expected 2 rows", "found 1"}},
      {"wrong width",
       [](Files& f) {
         statistics(f)["relative_action"]["arm"] = testing::stepwise_statistics(2, 4);
       },
       {"relative_action.arm.min[0]", "expected 3 values", "found 4"}},
      {"flat",
       [](Files& f) { statistics(f)["relative_action"]["arm"] = testing::flat_statistics(2); },
       {"relative_action.arm.min"}},
      {"nan in a step",
       [=](Files& f) { statistics(f)["relative_action"]["arm"]["max"][1][2] = nan; },
       {"relative_action.arm", "\"max\"", "nan at index 5"}},
  });
}

TEST(BadProcessorConfig, Sums) {
  expect_refused({
      {"states",
       [](Files& f) { f.kwargs()["max_state_dim"] = 12; },
       {"ck/processor_config.json", "max_state_dim is 12", "state keys have 13 dimensions"}},
      {"states doubled by sin/cos",
       [](Files& f) {
         f.kwargs()["max_state_dim"] = 13;
         f.kwargs()["apply_sincos_state_encoding"] = true;
         modality(f, "state")["sin_cos_embedding_keys"] = {"arm"};
       },
       {"max_state_dim is 13", "16 dimensions"}},
      {"actions",
       [](Files& f) { f.kwargs()["max_action_dim"] = 12; },
       {"max_action_dim is 12", "action keys have 13 dimensions"}},
  });
}

}  // namespace
}  // namespace sinew::preprocess
