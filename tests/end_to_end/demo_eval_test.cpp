// `sinew eval` with the trained demo policy and the recorded noise: the mean squared error of what
// the original predicted at the five recorded steps, and the figures of the README, to six
// decimals.
#include "end_to_end/program.h"
#include "io/file.h"
#include "io/npy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace sinew::test {
namespace {

const std::filesystem::path kReach = "examples/reach";
constexpr double kSixDecimals = 5e-7;

Outcome eval_reach(std::vector<std::string> more, const char* precision = "fp32") {
  more.insert(more.begin(), {"eval", kReach / "checkpoints/reach-nano", "--dataset-path",
                             kReach / "datasets/reach-eval", "--device", "cpu", "--precision",
                             precision, "--denoising-steps", "4"});
  return run_sinew(more);
}

// Zeros for the calls before the recorded one, then its noise: f32 [calls, horizon, dims].
void write_noise_of_call(const io::TensorEntry& noise, int64_t calls,
                         const std::filesystem::path& path) {
  const Shape& one = noise.view.shape;
  const std::vector<float> last = values_of(noise.view);
  std::vector<float> values(last.size() * static_cast<size_t>(calls - 1));
  values.insert(values.end(), last.begin(), last.end());
  const Shape shape{calls, one[1], one[2]};
  ASSERT_TRUE(
      io::write_file_atomic(path, io::format_npy({values.data(), DType::kF32, shape})).ok());
}

// Mean squared difference from `recorded`, rows [from, from + rows) of which are compared with the
// first rows of each key's prediction.
struct SquaredError {
  double sum = 0;
  int64_t count = 0;

  void add(const io::Json& recorded, size_t from, size_t rows, const auto& predicted) {
    for (size_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < recorded[from + row].size(); ++i) {
        sum += std::pow(recorded[from + row][i].get<double>() - predicted(row, i), 2);
        ++count;
      }
    }
  }

  double mean() const { return sum / static_cast<double>(count); }
};

TEST(DemoEval, ErrorOfTheRecordedStepsEqualsTheOriginals) {
  constexpr int64_t kStride = 8;  // every recorded step is a multiple of it
  const io::Json index = read_golden_json(kReach / "golden/golden.json");
  ASSERT_EQ(index["steps"].size(), 5U);
  for (const io::Json& step : index["steps"]) {
    const TempFolder folder;
    const io::SafetensorsFile golden =
        open_golden(kReach / "golden" / step["file"].get<std::string>());
    const auto frame = step["frame"].get<int64_t>();
    ASSERT_EQ(frame % kStride, 0);
    write_noise_of_call(*golden.find("noise"), frame / kStride + 1, folder / "noise.npy");
    const Outcome outcome = eval_reach(
        {"--traj-ids", std::to_string(step["episode"].get<int64_t>()), "--steps",
         std::to_string(frame + kStride), "--action-horizon", std::to_string(kStride), "--noise",
         folder / "noise.npy", "--save-actions", folder / "actions.json", "--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const io::Json actions = read_golden_json(folder / "actions.json")[0];
    SquaredError ours;
    SquaredError originals;
    for (const auto& [key, recorded] : actions["recorded"].items()) {
      const io::TensorEntry* action = golden.find("action.4." + key);
      ASSERT_NE(action, nullptr) << key;
      const auto from = static_cast<size_t>(frame);
      const auto dims = recorded[0].size();
      const std::vector<float> wanted = values_of(action->view);
      const io::Json& predicted = actions["predicted"][key];
      ours.add(recorded, from, kStride,
               [&](size_t row, size_t i) { return predicted[from + row][i].get<double>(); });
      originals.add(recorded, from, kStride, [&](size_t row, size_t i) {
        return static_cast<double>(wanted[row * dims + i]);
      });
    }
    EXPECT_NEAR(ours.mean(), originals.mean(), kSixDecimals) << step["file"];
    if (frame == 0) {  // the whole run is the recorded call
      EXPECT_NEAR(json_of(outcome)["mse"].get<double>(), originals.mean(), kSixDecimals);
    }
  }
}

TEST(DemoEval, FiguresOfTheReadmeHold) {
  const Outcome outcome = eval_reach(
      {"--traj-ids", "0", "1", "2", "3", "4", "5", "--noise", kReach / "noise.npy", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const io::Json json = json_of(outcome);
  const std::string readme = io::read_file("README.md").value();
  EXPECT_THAT(readme, testing::HasSubstr(fmt::format("average             {:.6f}  {:.6f}",
                                                     json["mse"].get<double>(),
                                                     json["mae"].get<double>())));
}

// Rounding operands to bf16 moves the error of the predictions by 0.7 % here; by chance it may be
// less or more, but not by a multiple of that.
TEST(DemoEval, Bf16ErrorIsWithinTwoPercentOfFp32) {
  constexpr double kMargin = 0.02;
  const std::vector<std::string> all = {
      "--traj-ids", "0", "1", "2", "3", "4", "5", "--noise", kReach / "noise.npy", "--json"};
  const Outcome fp32 = eval_reach(all);
  const Outcome bf16 = eval_reach(all, "bf16");
  ASSERT_EQ(fp32.exit_code, 0) << fp32.err;
  ASSERT_EQ(bf16.exit_code, 0) << bf16.err;
  const double exact = json_of(fp32)["mse"].get<double>();
  const double rounded = json_of(bf16)["mse"].get<double>();
  EXPECT_NEAR(rounded, exact, kMargin * exact);
  EXPECT_NE(rounded, exact) << "ran in fp32";
}

}  // namespace
}  // namespace sinew::test
