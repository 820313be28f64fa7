// The misconfigurations of docs/misconfigurations.md, each made and given to the program: it
// refuses, or warns and runs. And right inputs, which draw no warning.
#include "base/float16.h"
#include "end_to_end/program.h"
#include "io/file.h"
#include "io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace sinew::test {
namespace {

using io::Json;
using testing::HasSubstr;
using testing::Not;
using Path = std::filesystem::path;
using Words = std::vector<std::string>;

const Path kDemo = "examples/reach";
// Of the demo policy, which is slot 2 of 4: [slots, max_action_dim 32, width 144].
constexpr const char* kSlots = "action_head.action_encoder.W1.W";
constexpr size_t kSlotElements = 32 * 144;

// Copies of the demo policy and its data set, and an observation for the nano policy: a case
// changes what it wants.
struct Scene {
  TempFolder folder;
  Path checkpoint = folder / "checkpoint";
  Path dataset = folder / "dataset";
  Words more;          // flags
  Json observation;    // given: `infer` with it on the nano policy, in place of `eval`
  Path array_file;     // given: the observation in place of `observation`
  bool warns = false;  // as opposed to a notice

  const char* prefix() const { return warns ? "warning: " : "notice: "; }

  Scene() {
    std::filesystem::copy(kDemo / "checkpoints/reach-nano", checkpoint,
                          std::filesystem::copy_options::recursive);
    std::filesystem::copy(kDemo / "datasets/reach-eval", dataset,
                          std::filesystem::copy_options::recursive);
  }

  void edit(const Path& file, const std::function<void(Json&)>& change) const {
    Json json = read_golden_json(file);
    change(json);
    ASSERT_TRUE(io::write_file_atomic(file, json.dump()).ok());
  }

  void edit_statistics(const std::function<void(Json&)>& change) const {
    edit(checkpoint / "statistics.json", [&](Json& json) { change(json.at("new_embodiment")); });
  }

  void edit_processor(const std::function<void(Json&)>& change) const {
    edit(checkpoint / "processor_config.json",
         [&](Json& json) { change(json.at("processor_kwargs")); });
  }

  void observe() { observation = read_golden_json(write_golden_case("main", folder).observation); }

  // Elements of a BF16 tensor of model.safetensors, from `first` on.
  void overwrite(const std::string& tensor, size_t first, const std::vector<float>& values) const {
    const Path path = checkpoint / "model.safetensors";
    std::string bytes = io::read_file(path).value();
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    const Json header = Json::parse(bytes.substr(8, length));
    ASSERT_EQ(header.at(tensor).at("dtype"), "BF16");
    const auto offset = header.at(tensor).at("data_offsets").at(0).get<size_t>();
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t bits = to_bf16(values[i]).bits;
      std::memcpy(bytes.data() + 8 + length + offset + 2 * (first + i), &bits, sizeof(bits));
    }
    ASSERT_TRUE(io::write_file_atomic(path, bytes).ok());
  }

  Outcome run() const {
    Words words;
    if (observation.is_null() && array_file.empty()) {
      words = {"eval", checkpoint, "--dataset-path", dataset, "--steps", "8"};
    } else {
      Path file = array_file;
      if (file.empty()) {
        file = folder / "changed.json";
        EXPECT_TRUE(io::write_file_atomic(file, observation.dump()).ok());
      }
      words = {"infer",          kNano,           "--vlm-path", kEagle, "--embodiment-tag",
               "new_embodiment", "--observation", file};
    }
    words.insert(words.end(), {"--device", "cpu", "--json"});
    words.insert(words.end(), more.begin(), more.end());
    return run_sinew(words);
  }
};

struct Case {
  std::string name;
  std::function<void(Scene&)> make;
  int exit_code = 0;
  std::vector<const char*> parts;  // of what is said
};

// Multiplies a statistic of every key of a group.
void scale(Json& group, double factor) {
  for (auto& [key, statistics] : group.items()) {
    for (auto& [name, values] : statistics.items()) {
      for (Json& value : values) {
        value = value.get<double>() * factor;
      }
    }
  }
}

std::vector<Case> statistics_cases() {
  return {
      {"MissingStatistics",
       [](Scene& s) { s.edit_statistics([](Json& j) { j["action"]["single_arm"].erase("q99"); }); },
       3,
       {"statistics.json", "action.single_arm", "\"q99\" is missing"}},
      {"InfiniteStatistics",
       [](Scene& s) {
         std::string text = io::read_file(s.checkpoint / "statistics.json").value();
         const size_t arm = text.find("\"single_arm\"", text.find("\"state\""));
         const size_t array = text.find('[', text.find("\"min\"", arm));
         text.replace(array + 1, text.find(',', array) - array - 1, "Infinity");
         EXPECT_TRUE(io::write_file_atomic(s.checkpoint / "statistics.json", text).ok());
       },
       3,
       {"is used and holds inf at index 0", "expected finite numbers"}},
      {"ZeroWidthRange",
       [](Scene& s) {
         s.edit_statistics([](Json& j) {
           j["state"]["single_arm"]["max"][2] = j["state"]["single_arm"]["min"][2];
           j["state"]["single_arm"]["mean"][2] = j["state"]["single_arm"]["min"][2];
         });
       },
       0,
       {"state.single_arm", "no spread in dimension 2"}},
      {"RelativeWithoutItsStatistics",
       [](Scene& s) { s.edit_statistics([](Json& j) { j.erase("relative_action"); }); },
       3,
       {"\"relative_action\" is missing", "\"single_arm\" is RELATIVE"}},
      {"RelativeWithAbsoluteStatistics",
       [](Scene& s) {
         s.warns = true;
         s.edit_statistics([](Json& j) {
           const size_t steps = 16;
           Json relative;
           for (const auto& [name, values] : j["action"]["single_arm"].items()) {
             relative[name] = Json(std::vector<Json>(steps, values));
           }
           j["relative_action"]["single_arm"] = relative;
         });
       },
       0,
       {"relative_action.single_arm", "has the range of the absolute action"}},
      {"StaleStatistics",
       [](Scene& s) {
         s.warns = true;
         s.edit_statistics([](Json& j) {
           for (const char* const name : {"min", "max", "mean", "q01", "q99"}) {
             Json& value = j["action"]["single_arm"][name][1];
             value = value.get<double>() + 3;
           }
         });
       },
       0,
       {"action \"single_arm\"", "mean of dimension 1 (shoulder.pos)", "--compare CHECKPOINT"}},
      {"PercentilesOfOtherData",
       [](Scene& s) {
         s.warns = true;
         s.edit_processor([](Json& j) { j["use_percentiles"] = true; });
         s.edit_statistics([](Json& j) { j["state"]["single_arm"]["q99"][0] = 42; });
       },
       0,
       {"state.single_arm", "\"q99\" is 42 at index 0", "no data has all three"}},
      {"OutliersSetTheRange",
       [](Scene& s) {
         s.edit_statistics([](Json& j) { j["state"]["single_arm"]["max"][0] = 900; });
       },
       0,
       {"state.single_arm", "times as wide as \"q01\" to \"q99\"", "use_percentiles is false"}},
      {"DegreesInTheDataset",
       [](Scene& s) {
         s.warns = true;
         s.edit_statistics([](Json& j) {
           scale(j["state"], 1 / 57.29578);
           scale(j["action"], 1 / 57.29578);
         });
       },
       0,
       {"state \"single_arm\": the data set's values", "57.3 times", "is the data set in degrees"}},
  };
}

std::vector<Case> checkpoint_cases() {
  return {
      {"WrongEmbodiment",
       [](Scene& s) {
         s.more = {"--embodiment-tag", "gr1"};
       },
       3,
       {"embodiment \"gr1\"", "expected one of new_embodiment"}},
      {"UntrainedSlot",
       [](Scene& s) {
         s.warns = true;
         std::vector<float> untouched(kSlotElements, 0.02F);
         for (size_t i = 0; i < untouched.size(); i += 2) {
           untouched[i] = -0.02F;
         }
         s.overwrite(kSlots, 2 * kSlotElements, untouched);
       },
       0,
       {"embodiment slot 2 looks untrained", "0.0200"}},
      {"HorizonBeyondThePrediction",
       [](Scene& s) {
         s.more = {"--action-horizon", "64"};
       },
       2,
       {"--action-horizon 64", "rows a call"}},
      {"HorizonsDiffer",
       [](Scene& s) {
         s.edit(s.checkpoint / "config.json",
                [](Json& j) { j["action_horizon"] = j["action_horizon"].get<int64_t>() + 1; });
       },
       0,
       {"action_horizon", "delta_indices"}},
      {"UnknownProcessorKey",
       [](Scene& s) { s.edit_processor([](Json& j) { j["sharpen"] = true; }); },
       3,
       {"processor_kwargs", "unknown key \"sharpen\""}},
      {"TokenizerOfAnotherModel",
       [](Scene& s) {
         s.edit(s.checkpoint / "eagle/added_tokens.json",
                [](Json& j) { j["<IMG_CONTEXT>"] = j["<IMG_CONTEXT>"].get<int64_t>() + 40; });
       },
       3,
       {"belongs to another model"}},
      {"PaddingSide",
       [](Scene& s) {
         EXPECT_TRUE(io::write_file_atomic(s.checkpoint / "eagle/tokenizer_config.json",
                                           R"({"padding_side": "right"})")
                         .ok());
       },
       0,
       {"padding_side is \"right\": not followed"}},
      {"NanWeights",
       [](Scene& s) {
         s.overwrite("action_head.vlln.weight", 0, {std::numeric_limits<float>::quiet_NaN()});
       },
       3,
       {"NaN or infinity in 1 tensors", "action_head.vlln.weight", "element 0"}},
      {"TruncatedDownload",
       [](Scene& s) {
         const Path path = s.checkpoint / "model.safetensors";
         std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1000);
       },
       3,
       {"model.safetensors"}},
  };
}

std::vector<Case> dataset_cases() {
  return {
      {"DatasetOfAnotherRobot",
       [](Scene& s) {
         s.edit(s.dataset / "meta/modality.json", [](Json& j) {
           j["state"]["left_arm"] = j["state"]["single_arm"];
           j["state"].erase("single_arm");
         });
       },
       3,
       {"state group 'single_arm'", "it has gripper, left_arm"}},
      {"RobotTypeOfAnotherEmbodiment",
       [](Scene& s) {
         s.warns = true;
         s.edit(s.dataset / "meta/info.json", [](Json& j) { j["robot_type"] = "Unitree_G1"; });
         const auto rename = [](Json& j) {
           j["libero_panda"] = j["new_embodiment"];
           j.erase("new_embodiment");
         };
         s.edit(s.checkpoint / "statistics.json", rename);
         s.edit(s.checkpoint / "embodiment_id.json", rename);
         s.edit_processor([&](Json& j) { rename(j["modality_configs"]); });
       },
       0,
       {"robot_type is \"Unitree_G1\"", "unitree_g1", "runs as libero_panda"}},
      {"MismatchedDimensions",
       [](Scene& s) {
         s.edit(s.dataset / "meta/modality.json",
                [](Json& j) { j["state"]["single_arm"]["end"] = 3; });
       },
       3,
       {"state \"single_arm\"", "[1, 4]", "[1, 3]"}},
      {"SwappedCameras",
       [](Scene& s) {
         s.warns = true;
         s.edit(s.dataset / "meta/modality.json", [](Json& j) {
           j["video"]["front"]["original_key"] = "observation.images.wrist";
           j["video"]["wrist"]["original_key"] = "observation.images.front";
         });
       },
       0,
       {"camera \"front\" is the feature observation.images.wrist", "exchanged"}},
      {"WrongFrameRate",
       [](Scene& s) {
         s.warns = true;
         s.edit(s.dataset / "meta/info.json", [](Json& j) { j["fps"] = 30; });
       },
       0,
       {"says 30 frames a second, the time stamps of episode 0 20", "moves faster"}},
      {"FrameRateNotSaid",
       [](Scene& s) {
         s.warns = true;
         s.edit(s.dataset / "meta/info.json", [](Json& j) { j.erase("fps"); });
       },
       0,
       {"\"fps\" is missing: 30 frames a second are assumed", "which is taken for 30",
        "the time stamps of episode 0 20"}},
      {"VideoOfAnotherFrameRate",
       [](Scene& s) {
         s.warns = true;
         s.edit(s.dataset / "meta/info.json", [](Json& j) {
           j["features"]["observation.images.front"]["info"]["video.fps"] = 10;
         });
       },
       0,
       {"camera \"front\"", "10 frames a second", "20"}},
  };
}

std::vector<Case> observation_cases() {
  return {
      {"DegreesForRadians",
       [](Scene& s) {
         s.warns = true;
         s.observe();
         for (Json& value : s.observation["state"]["single_arm"][0]) {
           value = value.get<double>() * 57.29578;
         }
       },
       0,
       {"state \"single_arm\"", "far outside", "degrees for radians?"}},
      {"AnotherRobotsState",
       [](Scene& s) {
         s.warns = true;
         s.observe();
         for (Json& value : s.observation["state"]["single_arm"][0]) {
           value = 1e6;
         }
       },
       0,
       {"state \"single_arm\": 6 of 6", "is this the robot"}},
      {"MissingCamera",
       [](Scene& s) {
         s.observe();
         s.observation["video"].erase("wrist");
       },
       3,
       {"camera \"wrist\"", "is missing"}},
      {"FloatFrames",
       [](Scene& s) {
         const std::vector<float> frame(12, 0.5F);
         s.array_file = s.folder / "observation.npz";
         const io::NpzWriteMember member{"video.front", {frame.data(), DType::kF32, {1, 2, 2, 3}}};
         EXPECT_TRUE(io::write_npz(s.array_file, std::vector{member}).ok());
       },
       3,
       {"video.front: expected u8 [time, height, width, 3]"}},
  };
}

class Misconfiguration : public testing::TestWithParam<Case> {};

TEST_P(Misconfiguration, IsRefusedOrSaid) {
  Scene scene;
  GetParam().make(scene);
  const Outcome outcome = scene.run();
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code) << outcome.err;
  const std::string prefix = outcome.exit_code == 0 ? scene.prefix() : "error: ";
  EXPECT_THAT(outcome.err, HasSubstr(prefix));
  for (const char* const part : GetParam().parts) {
    EXPECT_THAT(outcome.err, HasSubstr(part));
  }
  if (outcome.exit_code == 0 && !scene.warns) {
    EXPECT_THAT(outcome.err, Not(HasSubstr("warning: ")));
  }
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Statistics, Misconfiguration, testing::ValuesIn(statistics_cases()),
                         kName);
INSTANTIATE_TEST_SUITE_P(Checkpoint, Misconfiguration, testing::ValuesIn(checkpoint_cases()),
                         kName);
INSTANTIATE_TEST_SUITE_P(Dataset, Misconfiguration, testing::ValuesIn(dataset_cases()), kName);
INSTANTIATE_TEST_SUITE_P(Observation, Misconfiguration, testing::ValuesIn(observation_cases()),
                         kName);

TEST(Misconfigured, InspectSaysThatTheFrameRateIsAssumed) {
  const Scene scene;
  const auto inspect = [&] { return run_sinew({"inspect", scene.dataset, "--json", "--quiet"}); };
  const Outcome said = inspect();
  EXPECT_EQ(said.err, "");
  EXPECT_EQ(json_of(said)["dataset"]["is_fps_assumed"], false);
  scene.edit(scene.dataset / "meta/info.json", [](Json& j) { j.erase("fps"); });
  const Outcome assumed = inspect();
  EXPECT_THAT(assumed.err, HasSubstr("warning: "));
  EXPECT_THAT(assumed.err, HasSubstr("30 frames a second are assumed"));
  EXPECT_EQ(json_of(assumed)["dataset"]["is_fps_assumed"], true);
  EXPECT_EQ(json_of(assumed)["dataset"]["warnings"].size(), 1U);
}

// Slots of other embodiments are not read, so what is in them does not matter.
TEST(Misconfigured, WeightsOfOtherEmbodimentsMayBeAnything) {
  const Scene scene;
  scene.overwrite(kSlots, 0, {std::numeric_limits<float>::quiet_NaN()});
  const Outcome outcome = scene.run();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST(RightInput, DrawsNoWarning) {
  const Outcome demo = Scene().run();
  EXPECT_EQ(demo.exit_code, 0) << demo.err;
  EXPECT_THAT(demo.err, Not(HasSubstr("warning")));
  EXPECT_TRUE(json_of(demo)["warnings"].empty()) << demo.out;

  const Outcome nano =
      run_sinew({"eval", kNano, "--vlm-path", kEagle, "--embodiment-tag", "new_embodiment",
                 "--dataset-path", kGolden / "dataset", "--traj-ids", "0", "1", "--json"});
  EXPECT_EQ(nano.exit_code, 0) << nano.err;
  EXPECT_THAT(nano.err, Not(HasSubstr("warning")));
  for (const char* const name :
       {"main", "g1_eef_relative_history", "libero_horizon8", "batch2_pad"}) {
    const TempFolder folder;
    const GoldenCase golden = write_golden_case(name, folder);
    const Outcome outcome = run_sinew({"infer", kNano, "--vlm-path", kEagle, "--embodiment-tag",
                                       golden.meta["embodiment_tag"].get<std::string>(),
                                       "--observation", golden.observation, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, Not(HasSubstr("warning"))) << name;
  }
}

}  // namespace
}  // namespace sinew::test
