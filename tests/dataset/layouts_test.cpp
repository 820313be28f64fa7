// The same data set in every layout, codec and page format gives the same steps to the byte, read
// forwards and in random order.
#include "dataset/convert.h"
#include "dataset/dataset.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

namespace sinew::dataset {
namespace {

using test::TempFolder;
using test::VideoForm;
using test::WriteOptions;

preprocess::Modalities wide_modalities() {
  preprocess::Modalities modalities;
  modalities.video = {{-2, 0}, {"front", "wrist"}, {}, {}, {}};
  modalities.state = {{-1, 0}, {"gripper", "single_arm"}, {}, {}, {}};
  modalities.action = {{0, 1, 5, 15}, {"single_arm", "gripper"}, {}, {}, {}};
  modalities.language = {{0}, {"annotation.human.task_description"}, {}, {}, {}};
  return modalities;
}

void expect_equal(const std::vector<Step::Values>& a, const std::vector<Step::Values>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].key, b[i].key);
    EXPECT_EQ(a[i].dims, b[i].dims);
    EXPECT_EQ(a[i].values, b[i].values);
  }
}

void expect_equal(const Step& a, const Step& b) {
  EXPECT_EQ(a.language, b.language);
  expect_equal(a.state, b.state);
  expect_equal(a.action, b.action);
  ASSERT_EQ(a.video.size(), b.video.size());
  for (size_t i = 0; i < a.video.size(); ++i) {
    ASSERT_EQ(a.video[i].frames.size(), b.video[i].frames.size());
    for (size_t t = 0; t < a.video[i].frames.size(); ++t) {
      EXPECT_TRUE(a.video[i].frames[t].pixels == b.video[i].frames[t].pixels)
          << a.video[i].key << " frame " << t;
    }
  }
}

// The golden episodes, decoded forwards once.
const std::vector<std::vector<Step>>& golden_steps() {
  static const std::vector<std::vector<Step>> kSteps = [] {
    std::vector<std::vector<Step>> steps;
    const auto dataset = Dataset::open("tests/golden/dataset");
    EXPECT_TRUE(dataset.ok()) << dataset.status().message();
    for (int64_t e = 0; dataset.ok() && e < dataset.value()->info().episodes; ++e) {
      const auto episode = dataset.value()->open_episode(e);
      EXPECT_TRUE(episode.ok()) << episode.status().message();
      std::vector<Step>& of_episode = steps.emplace_back();
      for (int64_t row = 0; row < episode.value()->length(); ++row) {
        auto step = episode.value()->step(wide_modalities(), row, IndexMode::kClamp);
        EXPECT_TRUE(step.ok()) << step.status().message();
        of_episode.push_back(std::move(step).value());
      }
    }
    return steps;
  }();
  return kSteps;
}

void expect_golden_steps(Dataset& dataset, std::vector<size_t> order) {
  ASSERT_EQ(dataset.info().episodes, 2);
  for (const size_t e : {1U, 0U}) {
    const auto episode = dataset.open_episode(static_cast<int64_t>(e));
    ASSERT_TRUE(episode.ok()) << episode.status().message();
    ASSERT_EQ(episode.value()->length(), 30);
    for (const size_t row : order) {
      SCOPED_TRACE(testing::Message() << "episode " << e << " row " << row);
      const auto step =
          episode.value()->step(wide_modalities(), static_cast<int64_t>(row), IndexMode::kClamp);
      ASSERT_TRUE(step.ok()) << step.status().message();
      expect_equal(step.value(), golden_steps()[e][row]);
    }
  }
}

void expect_golden(const std::filesystem::path& folder) {
  const auto dataset = Dataset::open(folder);
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  std::vector<size_t> order(30);
  std::iota(order.begin(), order.end(), 0U);
  expect_golden_steps(*dataset.value(), order);
  std::shuffle(order.begin(), order.end(), std::mt19937(20));
  expect_golden_steps(*dataset.value(), order);
}

TEST(Layouts, GoldenRandomOrder) {
  expect_golden("tests/golden/dataset");
}

TEST(Layouts, V20) {
  const TempFolder folder;
  test::convert_to_v2(folder.path(), "v2.0", VideoForm::kH264,
                      {WriteOptions::Codec::kZstd, true, true, 7});
  expect_golden(folder.path());
  const auto dataset = Dataset::open(folder.path());
  EXPECT_EQ(dataset.value()->info().version, "v2.0");
  EXPECT_EQ(dataset.value()->info().action.at("gripper").dim_names, std::vector<std::string>{"g"});
}

TEST(Layouts, V21WithEmbeddedImages) {
  const TempFolder folder;
  test::convert_to_v2(folder.path(), "v2.1", VideoForm::kImages,
                      {WriteOptions::Codec::kNone, false, false, 11});
  expect_golden(folder.path());
}

TEST(Layouts, V21WithAv1) {
  const TempFolder folder;
  test::convert_to_v2(folder.path(), "v2.1", VideoForm::kAv1,
                      {WriteOptions::Codec::kGzip, false, true, 1 << 20});
  expect_golden(folder.path());
}

TEST(Layouts, V30OneGroupAnEpisode) {
  const TempFolder folder;
  test::convert_to_v3(folder.path(), VideoForm::kH264,
                      {WriteOptions::Codec::kSnappy, false, true, 30});
  expect_golden(folder.path());
}

TEST(Layouts, V30GroupsAcrossEpisodes) {
  const TempFolder folder;
  test::convert_to_v3(folder.path(), VideoForm::kAv1,
                      {WriteOptions::Codec::kZstd, true, false, 13});
  expect_golden(folder.path());
}

TEST(Layouts, V30WithEmbeddedImages) {
  const TempFolder folder;
  test::convert_to_v3(folder.path(), VideoForm::kImages,
                      {WriteOptions::Codec::kZstd, true, true, 1 << 20});
  expect_golden(folder.path());
}

TEST(Layouts, V30WithoutModalityJson) {
  const TempFolder folder;
  test::convert_to_v3(folder.path(), VideoForm::kH264);
  std::filesystem::remove(folder / "meta/modality.json");
  std::filesystem::remove(folder / "meta/stats.json");
  const auto dataset = Dataset::open(folder.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  const DatasetInfo& info = dataset.value()->info();
  EXPECT_EQ(info.state.at("state").end, 7);
  EXPECT_EQ(info.action.at("action").end, 7);
  EXPECT_EQ(info.cameras.at("wrist"), "observation.images.wrist");
  EXPECT_EQ(info.annotations.at("human.task_description"), "task_index");
  EXPECT_EQ(info.notices.size(), 2U);
  const auto episode = dataset.value()->open_episode(1);
  ASSERT_TRUE(episode.ok()) << episode.status().message();
  const auto text = episode.value()->language("annotation.human.task_description", 3);
  ASSERT_TRUE(text.ok()) << text.status().message();
  EXPECT_EQ(text.value(), golden_steps()[1][3].language);
  EXPECT_EQ(episode.value()->language("task", 3).value(), golden_steps()[1][3].language);
  const auto frame = episode.value()->frame("wrist", 3);
  ASSERT_TRUE(frame.ok()) << frame.status().message();
  EXPECT_TRUE(frame.value().pixels == golden_steps()[1][3].video[1].frames[1].pixels);
}

// Episodes of one data set in several threads: the shared index of a concatenated video.
TEST(Layouts, V30InThreads) {
  const TempFolder folder;
  test::convert_to_v3(folder.path(), VideoForm::kH264);
  const auto dataset = Dataset::open(folder.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  golden_steps();
  std::vector<std::thread> threads;
  threads.reserve(2);
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] { expect_golden_steps(*dataset.value(), {3, 0, 29, 12}); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(Layouts, MemoryDoesNotGrowWithTheEpisode) {
  const auto dataset = Dataset::open("tests/golden/dataset");
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  const auto episode = dataset.value()->open_episode(0);
  ASSERT_TRUE(episode.ok()) << episode.status().message();
  EXPECT_EQ(episode.value()->video_bytes(), 0U);  // nothing is opened before it is asked for
  size_t after_ten = 0;
  for (int64_t row = 0; row < 30; ++row) {
    ASSERT_TRUE(episode.value()->frame("front", row).ok());
    after_ten = row == 9 ? episode.value()->video_bytes() : after_ten;
  }
  EXPECT_EQ(episode.value()->video_bytes(), after_ten);
  EXPECT_GE(episode.value()->column_bytes(), 2U * 30 * 7 * sizeof(float));
}

}  // namespace
}  // namespace sinew::dataset
