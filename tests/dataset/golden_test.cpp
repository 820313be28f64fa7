// The v2.1 loader against what the original's loader returned for the same data set: columns,
// steps, texts and frames (tests/golden/dataset_golden).
#include "dataset/dataset.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "preprocess/image/image.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

namespace sinew::dataset {
namespace {

const std::filesystem::path kData = "tests/golden/dataset";
const std::filesystem::path kGolden = "tests/golden/dataset_golden";

std::unique_ptr<Dataset> open_golden() {
  auto dataset = Dataset::open(kData);
  EXPECT_TRUE(dataset.ok()) << dataset.status().message();
  return dataset.ok() ? std::move(dataset).value() : nullptr;
}

preprocess::Modalities golden_modalities() {
  preprocess::Modalities modalities;
  modalities.video = {{0}, {"front", "wrist"}, {}, {}, {}};
  modalities.state = {{0}, {"single_arm", "gripper"}, {}, {}, {}};
  modalities.action = {{}, {"single_arm", "gripper"}, {}, {}, {}};
  for (int64_t i = 0; i < 16; ++i) {
    modalities.action.delta_indices.push_back(i);
  }
  modalities.language = {{0}, {"annotation.human.task_description"}, {}, {}, {}};
  return modalities;
}

void expect_equal(const Step::Values& values, const io::SafetensorsFile& golden,
                  const std::string& name) {
  const io::TensorEntry* entry = golden.find(name);
  ASSERT_NE(entry, nullptr) << name;
  std::vector<float> expected(static_cast<size_t>(entry->view.shape.elements()));
  io::convert_to_f32(entry->view, expected);
  EXPECT_EQ(values.steps, entry->view.shape[0]) << name;
  EXPECT_EQ(values.dims, entry->view.shape[1]) << name;
  EXPECT_EQ(values.values, expected) << name;
}

TEST(DatasetGolden, Info) {
  const auto dataset = open_golden();
  ASSERT_NE(dataset, nullptr);
  const DatasetInfo& info = dataset->info();
  EXPECT_EQ(info.version, "v2.1");
  EXPECT_EQ(info.fps, 30);
  EXPECT_EQ(info.episodes, 2);
  EXPECT_EQ(info.frames, 60);
  EXPECT_EQ(info.robot_type, "nano");
  EXPECT_EQ(info.cameras.at("wrist"), "observation.images.wrist");
  EXPECT_EQ(info.annotations.at("human.task_description"), "task_index");
  EXPECT_EQ(info.state.at("single_arm").end, 6);
  EXPECT_TRUE(info.notices.empty());
  EXPECT_TRUE(dataset->check_modalities(golden_modalities()).ok());
}

TEST(DatasetGolden, WholeColumns) {
  const auto dataset = open_golden();
  ASSERT_NE(dataset, nullptr);
  const auto golden = io::SafetensorsFile::open(kGolden / "loader.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  for (int64_t e = 0; e < 2; ++e) {
    auto episode = dataset->open_episode(e);
    ASSERT_TRUE(episode.ok()) << episode.status().message();
    EXPECT_EQ(episode.value()->length(), 30);
    for (const char* key : {"single_arm", "gripper"}) {
      const auto state = episode.value()->state(key);
      ASSERT_TRUE(state.ok()) << state.status().message();
      expect_equal(state.value(), golden.value(), fmt::format("ep{}.state.{}", e, key));
      const auto action = episode.value()->action(key);
      ASSERT_TRUE(action.ok()) << action.status().message();
      expect_equal(action.value(), golden.value(), fmt::format("ep{}.action.{}", e, key));
    }
  }
}

TEST(DatasetGolden, Steps) {
  const auto dataset = open_golden();
  ASSERT_NE(dataset, nullptr);
  const auto golden = io::SafetensorsFile::open(kGolden / "loader.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  const auto index = io::read_json_file(kGolden / "index.json");
  ASSERT_TRUE(index.ok()) << index.status().message();
  for (int64_t e = 0; e < 2; ++e) {
    auto episode = dataset->open_episode(e);
    ASSERT_TRUE(episode.ok()) << episode.status().message();
    for (const int64_t s : {7, 0}) {
      const auto step = episode.value()->step(golden_modalities(), s, IndexMode::kClamp);
      ASSERT_TRUE(step.ok()) << step.status().message();
      for (const Step::Values& values : step.value().state) {
        expect_equal(values, golden.value(),
                     fmt::format("ep{}.step{}.states.{}", e, s, values.key));
      }
      for (const Step::Values& values : step.value().action) {
        expect_equal(values, golden.value(),
                     fmt::format("ep{}.step{}.actions.{}", e, s, values.key));
      }
      const io::Json& texts = index.value().at("episodes").at(static_cast<size_t>(e));
      EXPECT_EQ(step.value().language, texts.at(fmt::format("step{}_text", s)));
    }
  }
}

TEST(DatasetGolden, FramesAreEqualToTheByte) {
  const auto dataset = open_golden();
  ASSERT_NE(dataset, nullptr);
  int compared = 0;
  for (int64_t e = 0; e < 2; ++e) {
    auto episode = dataset->open_episode(e);
    ASSERT_TRUE(episode.ok()) << episode.status().message();
    for (const int64_t s : {29, 0, 7}) {
      for (const char* camera : {"front", "wrist"}) {
        const auto path = kGolden / fmt::format("ep{}_step{}_{}.png", e, s, camera);
        if (!std::filesystem::exists(path)) {
          continue;
        }
        const auto expected = preprocess::read_image(path);
        ASSERT_TRUE(expected.ok()) << expected.status().message();
        const auto frame = episode.value()->frame(camera, s);
        ASSERT_TRUE(frame.ok()) << frame.status().message();
        EXPECT_EQ(frame.value().height, expected.value().height);
        EXPECT_EQ(frame.value().width, expected.value().width);
        EXPECT_TRUE(frame.value().pixels == expected.value().pixels) << path;
        ++compared;
      }
    }
  }
  EXPECT_EQ(compared, 10);
}

}  // namespace
}  // namespace sinew::dataset
