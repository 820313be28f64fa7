// Rows outside the episode, languages, lengths and cell types.
#include "dataset/dataset.h"
#include "dataset/golden_copy.h"
#include "dataset/write_parquet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sinew::dataset {
namespace {

using test::GoldenCopy;
using test::WriteColumn;
using testing::HasSubstr;

struct Opened {
  std::unique_ptr<Dataset> dataset;
  std::unique_ptr<Episode> episode;
};

Opened open_first(const std::filesystem::path& folder) {
  Opened out;
  auto dataset = Dataset::open(folder);
  EXPECT_TRUE(dataset.ok()) << dataset.status().message();
  if (dataset.ok()) {
    out.dataset = std::move(dataset).value();
    auto episode = out.dataset->open_episode(0);
    EXPECT_TRUE(episode.ok()) << episode.status().message();
    if (episode.ok()) {
      out.episode = std::move(episode).value();
    }
  }
  return out;
}

preprocess::Modalities with_state_delta(int64_t delta) {
  preprocess::Modalities modalities;
  modalities.state = {{delta}, {"single_arm"}, {}, {}, {}};
  return modalities;
}

std::vector<float> row_of(const Step::Values& values, int64_t row) {
  const auto begin = values.values.begin() + row * values.dims;
  return {begin, begin + values.dims};
}

TEST(Episode, RowsOutsideClampOrWrap) {
  const Opened golden = open_first("tests/golden/dataset");
  ASSERT_NE(golden.episode, nullptr);
  const Step::Values state = golden.episode->state("single_arm").value();
  const auto step = [&](int64_t row, int64_t delta, IndexMode mode) {
    return golden.episode->step(with_state_delta(delta), row, mode, false);
  };
  EXPECT_EQ(step(0, -1, IndexMode::kClamp).value().state[0].values, row_of(state, 0));
  EXPECT_EQ(step(0, -1, IndexMode::kPython).value().state[0].values, row_of(state, 29));
  EXPECT_EQ(step(29, 16, IndexMode::kClamp).value().state[0].values, row_of(state, 29));
  EXPECT_EQ(step(29, 1, IndexMode::kPython).status().code(), Code::kBadInput);
  EXPECT_EQ(step(0, -31, IndexMode::kPython).status().code(), Code::kBadInput);
  EXPECT_EQ(step(5, INT64_MAX, IndexMode::kClamp).value().state[0].values, row_of(state, 29));
  EXPECT_EQ(step(5, INT64_MIN, IndexMode::kPython).status().code(), Code::kBadInput);
  EXPECT_EQ(step(30, 0, IndexMode::kClamp).status().code(), Code::kNotFound);
  EXPECT_EQ(step(-1, 0, IndexMode::kPython).status().code(), Code::kNotFound);
}

TEST(Episode, LanguageKeys) {
  const GoldenCopy copy;
  copy.replace(test::kEpisodes, "\"length\": 30",
               R"("length": 30, "sub_tasks": [{"start": 10, "end": 20, "text": "grasp"},
                   {"start": 16, "end": 30, "text": "lift"}])");
  std::string text = copy.read(test::kEpisodes);
  text.erase(text.find('\n', text.find("\"grasp\"")), 1);  // one line again
  copy.write(test::kEpisodes, text);
  const Opened opened = open_first(copy.path());
  ASSERT_NE(opened.episode, nullptr);
  Episode& episode = *opened.episode;
  EXPECT_EQ(episode.language("task", 0).value(), "pick up the red cube");
  EXPECT_EQ(episode.language("annotation.human.task_description", 0).value(),
            "pick up the red cube");
  // Action deltas that span 16 rows offer a sub-task 8 rows before it starts; of two the last wins.
  EXPECT_EQ(episode.language("sub_task", 1, 16).value(), "");
  EXPECT_EQ(episode.language("sub_task", 2, 16).value(), "grasp");
  EXPECT_EQ(episode.language("sub_task", 7, 16).value(), "grasp");
  EXPECT_EQ(episode.language("sub_task", 8, 16).value(), "lift");
  EXPECT_EQ(episode.language("sub_task", 29, 16).value(), "lift");
  EXPECT_EQ(episode.language("sub_task", 9, 1).value(), "");
  EXPECT_THAT(episode.language("annotation.none", 0).status().message(),
              HasSubstr("human.task_description"));
  EXPECT_EQ(episode.language("caption", 0).status().code(), Code::kBadInput);
  EXPECT_EQ(episode.language("task", 30).status().code(), Code::kNotFound);

  preprocess::Modalities modalities;
  modalities.action = {{0, 15}, {}, {}, {}, {}};
  modalities.language = {{0}, {"sub_task"}, {}, {}, {}};
  EXPECT_EQ(episode.step(modalities, 2, IndexMode::kClamp).value().language, "grasp");
}

TEST(Episode, MissingTasksAreAnEmptyText) {
  const GoldenCopy copy;
  copy.replace(test::kEpisodes, R"("tasks": ["pick up the red cube"], )", "");
  const Opened opened = open_first(copy.path());
  ASSERT_NE(opened.episode, nullptr);
  EXPECT_EQ(opened.episode->language("task", 0).value(), "");
  ASSERT_EQ(opened.dataset->info().notices.size(), 1U);
  EXPECT_THAT(opened.dataset->info().notices[0], HasSubstr("1 of 2 episodes"));
}

TEST(Episode, LengthIsTheSmallerOfRowsAndClaim) {
  const GoldenCopy copy;
  copy.replace(test::kEpisodes, "\"length\": 30", "\"length\": 20");
  Opened opened = open_first(copy.path());
  ASSERT_NE(opened.episode, nullptr);
  EXPECT_EQ(opened.episode->length(), 20);
  EXPECT_EQ(opened.episode->state("gripper").value().steps, 20);
  EXPECT_TRUE(opened.episode->frame("front", 19).ok());  // the video has a frame for every row
  EXPECT_EQ(opened.episode->frame("front", 20).status().code(), Code::kNotFound);

  copy.replace(test::kEpisodes, "\"length\": 20", "\"length\": 45");
  opened = open_first(copy.path());
  EXPECT_EQ(opened.episode->length(), 30);
}

TEST(Episode, FileNameComesFromTheEpisodeIndexAndSelectionFromTheLine) {
  const GoldenCopy copy;
  const std::string text = copy.read(test::kEpisodes);
  copy.write(test::kEpisodes, text.substr(text.find('\n') + 1));  // only episode 1 is left
  const Opened opened = open_first(copy.path());
  ASSERT_NE(opened.episode, nullptr);
  EXPECT_EQ(opened.episode->index(), 1);
  EXPECT_EQ(opened.episode->language("task", 0).value(), "Put the cup into the bowl!");
}

TEST(Episode, ScalarAndDoubleColumns) {
  const GoldenCopy copy;
  const std::vector<WriteColumn> columns{
      {"observation.state", WriteColumn::Type::kDoubleList, 2, {0.1, 1, 2, 3}, {}, {}},
      {"action", WriteColumn::Type::kDouble, 1, {0.5, 1e300}, {}, {}},
      {"task_index", WriteColumn::Type::kInt64, 1, {1, 0}, {}, {}}};
  test::write_parquet(copy.path() / test::kData, columns);
  copy.write(test::kModality,
             R"({"state": {"s": {"start": 1, "end": 2}, "wide": {"start": 0, "end": 3},
                           "grip": {"start": 4, "end": 9, "original_key": "action"}},
                 "action": {"a": {"start": 0, "end": 1}},
                 "annotation": {"text": {"original_key": "task_index"}, "absent": {}}})");
  const Opened opened = open_first(copy.path());
  ASSERT_NE(opened.episode, nullptr);
  Episode& episode = *opened.episode;
  EXPECT_EQ(episode.length(), 2);
  EXPECT_EQ(episode.state("s").value().values, (std::vector<float>{1, 3}));
  EXPECT_EQ(episode.language("annotation.text", 0).value(), "Put the cup into the bowl!");
  EXPECT_THAT(episode.state("wide").status().message(), HasSubstr("slice [0, 3)"));
  // Beyond f32, and so not a number the policy can use; a scalar cell ignores the slice.
  EXPECT_THAT(episode.state("grip").status().message(), HasSubstr("row 1, dimension 0 is inf"));
  EXPECT_EQ(episode.action("a").status().code(), Code::kBadInput);
  EXPECT_THAT(episode.language("annotation.absent", 0).status().message(),
              HasSubstr("no column 'annotation.absent'"));
}

TEST(Episode, NamesWhatExists) {
  const Opened golden = open_first("tests/golden/dataset");
  ASSERT_NE(golden.episode, nullptr);
  EXPECT_THAT(golden.episode->state("arm").status().message(), HasSubstr("gripper, single_arm"));
  EXPECT_THAT(golden.episode->action("arm").status().message(), HasSubstr("gripper, single_arm"));
  EXPECT_THAT(golden.episode->frame("top", 0).status().message(), HasSubstr("front, wrist"));
  EXPECT_THAT(golden.dataset->open_episode(2).status().message(), HasSubstr("it has 2"));
  EXPECT_EQ(golden.dataset->open_episode(-1).status().code(), Code::kNotFound);

  const auto refused = [&](const preprocess::Modalities& modalities) {
    return golden.dataset->check_modalities(modalities).message();
  };
  preprocess::Modalities modalities;
  modalities.video.keys = {"front", "top"};
  EXPECT_THAT(refused(modalities), HasSubstr("camera 'top'"));
  modalities = {};
  modalities.state.keys = {"arm"};
  EXPECT_THAT(refused(modalities), HasSubstr("state group 'arm'"));
  modalities = {};
  modalities.action.keys = {"arm"};
  EXPECT_THAT(refused(modalities), HasSubstr("action group 'arm'"));
  modalities = {};
  modalities.language.keys = {"annotation.coarse"};
  EXPECT_THAT(refused(modalities), HasSubstr("human.task_description"));
  modalities.language.keys = {"caption"};
  EXPECT_THAT(refused(modalities), HasSubstr("sub_task"));
}

}  // namespace
}  // namespace sinew::dataset
