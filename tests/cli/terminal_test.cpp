#include "cli/terminal.h"

#include "cli/eval_report.h"
#include "cli/policy_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace sinew::cli {
namespace {

using testing::HasSubstr;

TEST(Table, AlignsColumnsByCharactersNotBytes) {
  Table table({"name", "value"}, {false, true});
  table.add({"größe", "1.5"});
  table.add({"x", "10.25", "dropped"});
  EXPECT_EQ(table.text(),
            "name   value\n"
            "------------\n"
            "größe    1.5\n"
            "x      10.25\n");
  EXPECT_EQ(listing({{"a", "1"}, {"long", "2"}}), "a     1\nlong  2\n");
}

TEST(BytesText, ThreeDigits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.00 kB");
  EXPECT_EQ(bytes_text(12345678), "12.3 MB");
  EXPECT_EQ(bytes_text(999999), "1.00 MB");
}

TEST(ProgressLine, FitsTheTerminal) {
  EXPECT_EQ(progress_line("x", 5, 10, 26), "x  [#######.......]   50 %");
  for (const int width : {0, 3, 20, 40, 200}) {
    EXPECT_LE(progress_line("trajectory 1", 3, 4, width).size(),
              static_cast<size_t>(std::max(width, 0)))
        << width;
  }
  EXPECT_THAT(progress_line("x", 0, 0, 40), HasSubstr("100 %"));
}

TEST(ProfileTable, PartsAndRestAddUp) {
  Timings timings;
  timings.preprocess_ms = 1;
  timings.vision_ms = 2;
  timings.action_ms = 4;
  timings.step_ms = {1.5, 2.5};
  timings.end_to_end_ms = 10;
  const std::string table = profile_table(timings, "component");
  EXPECT_THAT(table, HasSubstr("other                3.000   30.0 %"));
  EXPECT_THAT(table, HasSubstr("  denoising step 1   2.500   25.0 %"));
  EXPECT_THAT(table, HasSubstr("end to end          10.000  100.0 %"));
}

eval::OpenLoopReport report(bool is_timed) {
  eval::OpenLoopReport out;
  out.action_horizon = 16;
  eval::TrajectoryResult trajectory;
  trajectory.id = 2;
  trajectory.steps = 30;
  trajectory.error = {1.3382002, 0.8962628};
  trajectory.per_key = {{"arm", {1, 2}}, {"grip", {3, 4}}};
  trajectory.memory = {1000, 2000, 3000};
  out.trajectories.push_back(trajectory);
  out.average = trajectory.error;
  if (is_timed) {
    out.latency = eval::latency_stats(std::vector<double>{10, 20});
  }
  return out;
}

// spec/seed-features.md 101 and 108.
TEST(EvalSummary, SixDecimalsAndTheOrderOfSections) {
  const std::string text = eval_summary(report(true), {}, 1, false);
  EXPECT_THAT(text, HasSubstr("1.338200  0.896263"));
  const std::vector<std::string> order{"MSE", "model loaded in", "mean call", "P90",
                                       "episode memory"};
  size_t at = 0;
  for (const std::string& part : order) {
    const size_t found = text.find(part, at);
    ASSERT_NE(found, std::string::npos) << part << "\n" << text;
    at = found;
  }
}

TEST(EvalSummary, SaysThatNothingWasTimed) {
  EXPECT_THAT(eval_summary(report(false), {}, 3, false), HasSubstr("no call was timed"));
}

TEST(CheckFolderCreatable, LooksAtTheNearestFolderThatExists) {
  EXPECT_TRUE(check_folder_creatable("dump-sites", testing::TempDir() + "a/b/c").ok());
  EXPECT_FALSE(std::filesystem::exists(testing::TempDir() + "a/b/c"));
  const Status status = check_folder_creatable("dump-sites", "CMakeLists.txt/x");
  EXPECT_EQ(status.code(), Code::kBadInput);
  EXPECT_THAT(status.message(), HasSubstr("--dump-sites"));
}

}  // namespace
}  // namespace sinew::cli
