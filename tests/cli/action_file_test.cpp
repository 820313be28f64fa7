#include "cli/action_file.h"

#include "io/npy.h"
#include "io/safetensors.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <vector>

namespace sinew::cli {
namespace {

ActionChunk chunk(float first) {
  ActionChunk out;
  out.actions = {{"arm", 2, 2, {first, 2, 3, 4}}, {"grip", 2, 1, {5, 6}}};
  out.normalized = {1, 2, 3, 4, 5, 6};
  out.horizon = 2;
  out.max_action_dim = 3;
  out.timings.step_ms = {1, 2};
  return out;
}

PolicyInfo info() {
  PolicyInfo out;
  out.config = {{"horizon", "2", "config.json", "note"}, {"seed", "42", "default", ""}};
  return out;
}

TEST(ActionFile, JsonDocument) {
  const io::Json json = chunk_json(chunk(1), info());
  EXPECT_EQ(json["actions"]["arm"], io::Json::parse("[[1,2],[3,4]]"));
  EXPECT_EQ(json["normalized"], io::Json::parse("[[1,2,3],[4,5,6]]"));
  EXPECT_EQ(json["config"]["horizon"]["value"], "2");
  EXPECT_EQ(json["config"]["horizon"]["origin"], "config.json");
  EXPECT_EQ(json["timings_ms"]["action_steps"].size(), 2U);
  EXPECT_TRUE(chunks_json(std::vector{chunk(1)}, info()).is_object());
  EXPECT_EQ(chunks_json(std::vector{chunk(1), chunk(9)}, info())[1]["actions"]["arm"][0][0], 9);
}

TEST(ActionFile, NpzAndSafetensorsHaveALeadingBatchAxis) {
  const test::TempFolder folder;
  const std::vector<ActionChunk> chunks{chunk(1), chunk(9)};
  ASSERT_TRUE(write_actions(folder / "a.npz", chunks, info()).ok());
  const Result<io::Npz> npz = io::read_npz(folder / "a.npz");
  ASSERT_TRUE(npz.ok());
  const io::NpyArray* arm = npz.value().find("action.arm");
  ASSERT_NE(arm, nullptr);
  EXPECT_EQ(arm->shape, (Shape{2, 2, 2}));
  EXPECT_EQ(arm->view().as<float>()[4], 9);
  ASSERT_NE(npz.value().find("normalized"), nullptr);
  EXPECT_EQ(npz.value().find("normalized")->shape, (Shape{2, 2, 3}));

  ASSERT_TRUE(write_actions(folder / "a.safetensors", std::vector{chunk(1)}, info()).ok());
  const Result<io::SafetensorsFile> file = io::SafetensorsFile::open(folder / "a.safetensors");
  ASSERT_TRUE(file.ok());
  ASSERT_NE(file.value().find("action.grip"), nullptr);
  EXPECT_EQ(file.value().find("action.grip")->view.shape, (Shape{1, 2, 1}));
  EXPECT_EQ(file.value().find("action.grip")->view.dtype, DType::kF32);

  ASSERT_TRUE(write_actions(folder / "a.json", chunks, info()).ok());
  EXPECT_EQ(io::read_json_file(folder / "a.json").value().size(), 2U);
}

TEST(ActionFile, RefusesOtherEndingsAndLeavesNothing) {
  const test::TempFolder folder;
  EXPECT_EQ(check_action_path("a.txt").code(), Code::kUsage);
  EXPECT_EQ(write_actions(folder / "a.npy", std::vector{chunk(1)}, info()).code(), Code::kUsage);
  EXPECT_EQ(write_actions((folder / "no") / "a.npz", std::vector{chunk(1)}, info()).code(),
            Code::kBadInput);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace sinew::cli
