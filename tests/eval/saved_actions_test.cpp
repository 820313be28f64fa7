#include "eval/saved_actions.h"

#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include "support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sinew::eval {
namespace {

// Two trajectories of 2 and 1 rows; key "a" with 2 dimensions, "b" with 1.
OpenLoopReport example() {
  OpenLoopReport report;
  report.keys = {{"a", 2, {"a[0]", "a[1]"}}, {"b", 1, {"b"}}};
  TrajectoryResult first;
  first.id = 4;
  first.steps = 2;
  first.dims = 3;
  first.predicted = {1, 2, 3, 4, 5, 6};
  first.recorded = {10, 20, 30, 40, 50, 60};
  TrajectoryResult second = first;
  second.id = 7;
  second.steps = 1;
  second.predicted = {0.5F, 0.1F, -1};
  second.recorded = {0, 0, 0};
  report.trajectories = {first, second};
  return report;
}

TEST(SavedActions, Csv) {
  EXPECT_EQ(actions_csv(example()),
            "trajectory,step,predicted a[0],predicted a[1],predicted b[0],recorded a[0],recorded "
            "a[1],recorded b[0]\n"
            "4,0,1,2,3,10,20,30\n"
            "4,1,4,5,6,40,50,60\n"
            "7,0,0.5,0.1,-1,0,0,0\n");
}

TEST(SavedActions, NpyHoldsAllRows) {
  const test::TempFolder folder;
  ASSERT_TRUE(save_actions(folder / "a.npy", example()).ok());
  const Result<io::NpyArray> array = io::read_npy(folder / "a.npy");
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array.value().shape, (Shape{3, 3}));
  EXPECT_EQ(array.value().view().as<float>()[6], 0.5F);
}

TEST(SavedActions, NpzHoldsKeysByTrajectory) {
  const test::TempFolder folder;
  ASSERT_TRUE(save_actions(folder / "a.npz", example()).ok());
  const Result<io::Npz> npz = io::read_npz(folder / "a.npz");
  ASSERT_TRUE(npz.ok()) << npz.status().message();
  EXPECT_EQ(npz.value().arrays.size(), 8U);
  const io::NpyArray* array = npz.value().find("traj_4.predicted.a");
  ASSERT_NE(array, nullptr);
  EXPECT_EQ(array->shape, (Shape{2, 2}));
  EXPECT_EQ(array->view().as<float>()[2], 4);
  ASSERT_NE(npz.value().find("traj_7.recorded.b"), nullptr);
}

TEST(SavedActions, Json) {
  const test::TempFolder folder;
  ASSERT_TRUE(save_actions(folder / "a.json", example()).ok());
  const Result<io::Json> json = io::read_json_file(folder / "a.json");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json.value()[0]["id"], 4);
  EXPECT_EQ(json.value()[0]["predicted"]["a"], io::Json::parse("[[1,2],[4,5]]"));
  EXPECT_EQ(json.value()[1]["recorded"]["b"], io::Json::parse("[[0]]"));
}

TEST(SavedActions, RefusesOtherEndings) {
  EXPECT_EQ(check_saved_actions_path("a.txt").code(), Code::kUsage);
  EXPECT_EQ(save_actions("a", example()).code(), Code::kUsage);
  EXPECT_TRUE(check_saved_actions_path("folder/a.npy").ok());
}

TEST(SavedActions, LeavesNothingBehindInAFolderThatIsMissing) {
  const test::TempFolder folder;
  EXPECT_EQ(save_actions((folder / "no") / "a.csv", example()).code(), Code::kBadInput);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace sinew::eval
