// `sinew synth` and what runs on its checkpoints.
#include "end_to_end/program.h"
#include "io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace sinew::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Synth, NanoIsInspectedAndInferred) {
  const TempFolder folder;
  const Outcome made = run_sinew({"synth", "nano", "--output", folder / "nano", "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(json_of(made)["tensors"], 176);
  const Outcome inspected = run_sinew({"inspect", folder / "nano", "--json"});
  ASSERT_EQ(inspected.exit_code, 0) << inspected.err;

  const auto image = std::filesystem::absolute(kGolden / "cases/main.img/obs_front_b0_t0.png");
  const io::Json observation{
      {"video", {{"front", {image}}, {"wrist", {image}}}},
      {"state", {{"single_arm", {{0.1, 0.2, 0.3, 0.4, 0.5}}}, {"gripper", {{0.0}}}}},
      {"language", "pick up the red cube"}};
  ASSERT_TRUE(io::write_file_atomic(folder / "obs.json", observation.dump()).ok());
  const Outcome answer =
      run_sinew({"infer", folder / "nano", "--observation", folder / "obs.json", "--json"});
  ASSERT_EQ(answer.exit_code, 0) << answer.err;
  EXPECT_THAT(answer.err, Not(HasSubstr("untrained")));
  EXPECT_THAT(answer.err, Not(HasSubstr("ignored")));
  double squares = 0;
  size_t count = 0;
  const io::Json actions = json_of(answer);
  for (const auto& row : actions["normalized"]) {
    for (const auto& value : row) {
      ASSERT_TRUE(std::isfinite(value.get<double>()));
      squares += value.get<double>() * value.get<double>();
      ++count;
    }
  }
  const double rms = std::sqrt(squares / static_cast<double>(count));
  EXPECT_GT(rms, 0.1);
  EXPECT_LT(rms, 10);
}

TEST(Synth, RefusesWhatItCannotWrite) {
  const TempFolder folder;
  EXPECT_EQ(run_sinew({"synth"}).exit_code, 2);
  EXPECT_EQ(run_sinew({"synth", "nano"}).exit_code, 2);
  EXPECT_EQ(run_sinew({"synth", "pico", "--output", folder / "x"}).exit_code, 2);
  EXPECT_EQ(run_sinew({"synth", "nano", "--output", folder / "none/x"}).exit_code, 3);
  ASSERT_EQ(run_sinew({"synth", "nano", "--output", folder / "x"}).exit_code, 0);
  const Outcome again = run_sinew({"synth", "nano", "--output", folder / "x"});
  EXPECT_EQ(again.exit_code, 3);
  EXPECT_THAT(again.err, HasSubstr("not an empty folder"));
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++entries;
  }
  EXPECT_EQ(entries, 1U);
}

}  // namespace
}  // namespace sinew::test
