// Wrong inputs to infer and eval: the right exit code, one message that names what is wrong,
// nothing on stdout and nothing half-written left behind.
#include "end_to_end/program.h"
#include "io/file.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "preprocess/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sinew::test {
namespace {

using testing::HasSubstr;
using Path = std::filesystem::path;
using Words = std::vector<std::string>;

class BadInput : public testing::Test {
 protected:
  BadInput() : golden_(write_golden_case("main", folder_)) {}

  io::Json observation() const { return read_golden_json(golden_.observation); }

  // `sinew infer` on the nano policy with an observation and more flags.
  Outcome infer(const io::Json& observation, const Words& more = {}) {
    EXPECT_TRUE(io::write_file_atomic(golden_.observation, observation.dump()).ok());
    Words words{"infer", kNano,           "--vlm-path",        kEagle,     "--device",
                "cpu",   "--observation", golden_.observation, "--output", folder_ / "actions.npz"};
    words.insert(words.end(), more.begin(), more.end());
    return checked(words);
  }

  Outcome eval(const Words& more) {
    Words words{"eval",     kNano, "--vlm-path",       kEagle,
                "--device", "cpu", "--embodiment-tag", "new_embodiment"};
    words.insert(words.end(), more.begin(), more.end());
    return checked(words);
  }

  // Runs; whatever failed must have left the folder as it was and stdout empty.
  Outcome checked(const Words& words) {
    const std::set<std::string> before = listing();
    Outcome outcome = run_sinew(words);
    EXPECT_NE(outcome.exit_code, 0);
    EXPECT_TRUE(outcome.out.empty()) << outcome.out;
    EXPECT_EQ(listing(), before);
    const size_t message = outcome.err.find("error: ");
    EXPECT_NE(message, std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find("error: ", message + 1), std::string::npos) << outcome.err;
    return outcome;
  }

  std::set<std::string> listing() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      names.insert(entry.path().string());
    }
    return names;
  }

  TempFolder folder_;
  GoldenCase golden_;
};

void expect_refused(const Outcome& outcome, int exit_code, const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  for (const std::string& part : parts) {
    EXPECT_THAT(outcome.err, HasSubstr(part));
  }
}

TEST_F(BadInput, WrongCameraName) {
  io::Json observation = BadInput::observation();
  observation["video"]["side"] = observation["video"]["front"];
  observation["video"].erase("front");
  expect_refused(infer(observation), 3, {"front"});
}

TEST_F(BadInput, WrongNumberOfFrames) {
  io::Json observation = BadInput::observation();
  observation["video"]["front"].push_back(observation["video"]["front"][0]);
  expect_refused(infer(observation), 3, {"front", "2", "1"});
}

TEST_F(BadInput, WrongStateSize) {
  io::Json observation = BadInput::observation();
  observation["state"]["single_arm"][0].push_back(1.0);
  expect_refused(infer(observation), 3, {"single_arm", "7", "6"});
}

TEST_F(BadInput, MissingState) {
  io::Json observation = BadInput::observation();
  observation["state"].erase("gripper");
  expect_refused(infer(observation), 3, {"gripper"});
}

TEST_F(BadInput, NonFiniteState) {
  io::Json observation = BadInput::observation();
  observation["state"]["gripper"] = io::Json::parse("[[1e300]]");
  expect_refused(infer(observation), 3, {"gripper", "finite"});
}

TEST_F(BadInput, MissingAndBrokenImage) {
  io::Json observation = BadInput::observation();
  observation["video"]["front"][0] = "nowhere.png";
  expect_refused(infer(observation), 3, {"nowhere.png"});
  ASSERT_TRUE(io::write_file_atomic(folder_ / "broken.png", "not a picture").ok());
  observation["video"]["front"][0] = "broken.png";
  expect_refused(infer(observation), 3, {"broken.png"});
}

TEST_F(BadInput, UnknownEmbodiment) {
  io::Json observation = BadInput::observation();
  observation["embodiment_tag"] = "octopus";
  expect_refused(infer(observation), 3, {"octopus", "new_embodiment"});
  expect_refused(infer(BadInput::observation(), {"--embodiment-tag", "octopus"}), 3, {"octopus"});
  observation["embodiment_tag"] = "gr1";
  expect_refused(infer(observation, {"--embodiment-tag", "new_embodiment"}), 3,
                 {"gr1", "new_embodiment"});
}

TEST_F(BadInput, ObservationMissingOrNotNamed) {
  expect_refused(checked({"infer", kNano, "--observation", folder_ / "none.json"}), 3,
                 {"none.json"});
  expect_refused(checked({"infer", kNano}), 2, {"--observation"});
  expect_refused(checked({"infer", "--observation", golden_.observation}), 2, {"CHECKPOINT"});
}

TEST_F(BadInput, CheckpointMissing) {
  expect_refused(checked({"infer", folder_ / "none", "--observation", golden_.observation}), 3,
                 {"none"});
}

TEST_F(BadInput, OutputThatCannotBeWritten) {
  const io::Json observation = BadInput::observation();
  expect_refused(checked({"infer", kNano, "--vlm-path", kEagle, "--observation",
                          golden_.observation, "--output", folder_ / "no/such/actions.npz"}),
                 3, {"no/such"});
  expect_refused(checked({"infer", kNano, "--vlm-path", kEagle, "--observation",
                          golden_.observation, "--output", folder_ / "actions.txt"}),
                 2, {".safetensors"});
  expect_refused(infer(observation, {"--dump-sites", golden_.noise / "sites"}), 3,
                 {"--dump-sites"});
}

// The inputs do not exist: it is the output that is refused, before they are looked at.
TEST_F(BadInput, OutputThatCannotBeWrittenIsRefusedBeforeAnyWork) {
  const Path none = folder_ / "none";
  const Path folder = folder_ / "folder.json";
  std::filesystem::create_directory(folder);
  const Words infer{"infer", none, "--observation", none / "obs.json"};
  const Words eval{"eval", none, "--dataset-path", none, "--traj-ids", "0", "1"};
  const std::vector<std::pair<Words, Words>> refused{
      {infer, {"--output", "/proc/x.json"}},       {infer, {"--output", folder}},
      {infer, {"--output", none / "x.json"}},      {infer, {"--dump-sites", "/proc/sites"}},
      {eval, {"--save-actions", "/proc/x.json"}},  {eval, {"--save-actions", folder}},
      {eval, {"--save-plot-path", "/proc/x.png"}}, {eval, {"--save-plot-path", "/proc/plots"}},
      {eval, {"--dump-sites", "/proc/sites"}},
  };
  for (const auto& [verb, output] : refused) {
    Words words = verb;
    words.insert(words.end(), output.begin(), output.end());
    // Plots of several trajectories get a suffix.
    expect_refused(checked(words), 3, {Path(output.back()).replace_extension()});
  }
}

TEST_F(BadInput, NoiseOfTheWrongShape) {
  const std::vector<float> values(12);
  const std::string path = folder_ / "small.npy";
  ASSERT_TRUE(
      io::write_file_atomic(path, io::format_npy({values.data(), DType::kF32, Shape{3, 4}})).ok());
  expect_refused(infer(observation(), {"--noise", path}), 3, {"small.npy", "[3, 4]", "32]"});
  expect_refused(infer(observation(), {"--noise", folder_ / "none.npy"}), 3, {"none.npy"});
}

TEST_F(BadInput, DeviceThatThisBuildLacks) {
  const auto infer_on = [this](const char* device) {
    return checked({"infer", kNano, "--vlm-path", kEagle, "--embodiment-tag", "new_embodiment",
                    "--observation", golden_.observation, "--device", device});
  };
  expect_refused(infer_on("cuda:99"), 4, {"cuda:99"});
  expect_refused(infer_on("abacus"), 2, {"abacus"});
}

TEST_F(BadInput, OutputThatIsAnInput) {
  const std::string before = io::read_file(golden_.observation).value();
  expect_refused(checked({"infer", kNano, "--vlm-path", kEagle, "--observation",
                          golden_.observation, "--output", golden_.observation}),
                 2, {"--output", "overwrite"});
  EXPECT_EQ(io::read_file(golden_.observation).value(), before);
  expect_refused(eval({"--dataset-path", kGolden / "dataset", "--noise", golden_.noise,
                       "--save-actions", golden_.noise}),
                 2, {"--save-actions", "--noise"});
}

TEST_F(BadInput, FlagsThatContradictEachOther) {
  expect_refused(checked({"doctor", "--quiet", "--verbose"}), 2, {"--quiet", "--verbose"});
  expect_refused(eval({"--dataset-path", kGolden / "dataset", "--no-get-performance-stats",
                       "--skip-timing-steps", "2"}),
                 2, {"--skip-timing-steps"});
}

TEST_F(BadInput, CameraOfAnotherTypeOrSize) {
  const std::vector<float> zeros(64 * 64 * 3);
  const auto infer_front = [&](DType dtype, const Shape& shape) {
    const std::string path = folder_ / "observation.safetensors";
    const std::vector<io::NamedTensor> tensors{
        {"video.front", {zeros.data(), dtype, shape}},
        {"video.wrist", {zeros.data(), DType::kU8, Shape{1, 64, 64, 3}}},
        {"state.single_arm", {zeros.data(), DType::kF32, Shape{1, 6}}},
        {"state.gripper", {zeros.data(), DType::kF32, Shape{1, 1}}}};
    EXPECT_TRUE(io::write_safetensors(path, tensors, {{"language", "go"}}).ok());
    return checked({"infer", kNano, "--vlm-path", kEagle, "--observation", path, "--device", "cpu",
                    "--embodiment-tag", "new_embodiment"});
  };
  expect_refused(infer_front(DType::kF32, Shape{1, 64, 64, 3}), 3, {"video.front", "u8", "F32"});
  expect_refused(infer_front(DType::kU8, Shape{1, 64, 64, 4}), 3,
                 {"video.front", "[1, 64, 64, 4]"});
  expect_refused(infer_front(DType::kU8, Shape{1, 64, 32, 3}), 3, {"front", "64x32", "64x64"});
}

TEST_F(BadInput, InputsThatThePolicyDoesNotReadAreNamed) {
  io::Json observation = BadInput::observation();
  observation["video"]["side"] = observation["video"]["front"];
  ASSERT_TRUE(io::write_file_atomic(golden_.observation, observation.dump()).ok());
  const Outcome outcome = run_sinew({"infer", kNano, "--vlm-path", kEagle, "--observation",
                                     golden_.observation, "--device", "cpu"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("video.side (the policy reads front, wrist)"));
}

TEST_F(BadInput, InspectRefusesFlagsThatWouldChangeNothing) {
  const std::string data = kGolden / "dataset";
  expect_refused(checked({"inspect", data, "--denoising-steps", "2"}), 2, {"--denoising-steps"});
  expect_refused(checked({"inspect", data, "--tensors"}), 2, {"--tensors", "data set"});
  expect_refused(checked({"inspect", kNano, "--vlm-path", kEagle}), 2,
                 {"--vlm-path", "--embodiment-tag", "unitree_g1"});
}

TEST_F(BadInput, RecipeIsRefused) {
  expect_refused(infer(observation(), {"--recipe", "x.json"}), 4, {"--recipe"});
}

TEST_F(BadInput, EvalWithoutOrWithABrokenDataSet) {
  expect_refused(eval({}), 2, {"--dataset-path"});
  expect_refused(eval({"--dataset-path", folder_ / "none"}), 3, {"none"});
  const std::filesystem::path data = folder_ / "data";
  std::filesystem::copy(kGolden / "dataset", data, std::filesystem::copy_options::recursive);
  const std::filesystem::path video =
      data / "videos/chunk-000/observation.images.front/episode_000000.mp4";
  ASSERT_TRUE(io::write_file_atomic(video, "version https://git-lfs.github.com/spec/v1\n").ok());
  expect_refused(eval({"--dataset-path", data}), 3, {"episode_000000.mp4"});
}

TEST_F(BadInput, DamagedDataSets) {
  struct Damage {
    const char* file;
    const char* bytes;  // written in place of the file; nullptr: it is removed
    const char* found;
  };

  const std::string info = io::read_file(kGolden / "dataset/meta/info.json").value();
  std::string future = info;
  future.replace(future.find("v2."), 4, "v9.9");
  const std::vector<Damage> damages{
      {"meta/info.json", nullptr, "info.json"},
      {"meta/info.json", future.c_str(), "v9.9"},
      {"meta/info.json", "{", "info.json"},
      {"meta/modality.json", nullptr, "modality.json"},
      {"meta/episodes.jsonl", "", "lists no episodes"},
      {"meta/tasks.jsonl", nullptr, "tasks.jsonl"},
      {"meta/stats.json", nullptr, "sinew stats"},
      {"meta/stats.json", "[]", "--refresh"},
      {"data/chunk-000/episode_000000.parquet", nullptr, "no such file"},
      {"data/chunk-000/episode_000000.parquet", "PAR1 but no more", "episode_000000.parquet"},
      {"videos/chunk-000/observation.images.front/episode_000000.mp4", nullptr, "trajectory 0"},
      {"videos/chunk-000/observation.images.front/episode_000000.mp4", "no video",
       "episode_000000.mp4"}};
  for (const Damage& damage : damages) {
    const TempFolder copy;
    const std::filesystem::path data = copy / "data";
    std::filesystem::copy(kGolden / "dataset", data, std::filesystem::copy_options::recursive);
    std::filesystem::remove(data / damage.file);
    if (damage.bytes != nullptr) {
      ASSERT_TRUE(io::write_file_atomic(data / damage.file, damage.bytes).ok());
    }
    SCOPED_TRACE(damage.file);
    expect_refused(eval({"--dataset-path", data}), 3, {damage.found});
  }
}

TEST_F(BadInput, EvalUsage) {
  const std::string data = kGolden / "dataset";
  expect_refused(eval({"--dataset-path", data, "--action-horizon", "17"}), 2, {"17", "16"});
  expect_refused(eval({"--dataset-path", data, "--modality-keys", "leg"}), 2, {"leg", "gripper"});
  expect_refused(eval({"--dataset-path", data, "--modality-keys", "gripper", "gripper"}), 2,
                 {"gripper", "twice"});
  expect_refused(eval({"--dataset-path", data, "--traj-ids", "9"}), 3, {"9"});
  expect_refused(eval({"--dataset-path", data, "--traj-ids", "0", "0"}), 2, {"twice"});
  expect_refused(eval({"--dataset-path", data, "--save-plot-path", "plot.jpeg"}), 2, {".svg"});
  expect_refused(eval({"--dataset-path", data, "--save-plot-path", folder_ / "no/plot.png"}), 3,
                 {"no"});
  expect_refused(eval({"--dataset-path", data, "--save-actions", "actions.xls"}), 2, {".csv"});
  expect_refused(checked({"eval", "--dataset-path", data, "--host", "localhost"}), 4,
                 {"not part of this version"});
}

}  // namespace
}  // namespace sinew::test
