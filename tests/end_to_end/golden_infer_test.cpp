// `sinew infer` against the original: decoded actions of every golden case and of the trained demo
// policy within 1e-5 relative.
#include "end_to_end/program.h"
#include "io/file.h"
#include "io/npy.h"
#include "support/test_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sinew::test {
namespace {

constexpr double kTolerance = 1e-5;

class GoldenInfer : public testing::TestWithParam<std::string> {};

TEST_P(GoldenInfer, ActionsEqualTheOriginals) {
  const TempFolder folder;
  const GoldenCase golden = write_golden_case(GetParam(), folder);
  const std::string output = folder / "actions.npz";
  const Outcome outcome = run_sinew(
      {"infer", kNano, "--vlm-path", kEagle, "--observation", golden.observation, "--noise",
       golden.noise, "--device", test_device(), "--precision", "fp32", "--denoising-steps",
       std::to_string(golden.meta["steps"].get<int>()), "--embodiment-tag",
       golden.meta["embodiment_tag"].get<std::string>(), "--output", output});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Result<io::Npz> got = io::read_npz(output);
  ASSERT_TRUE(got.ok()) << got.status().message();
  const io::SafetensorsFile want = open_golden(kGolden / "cases" / (GetParam() + ".safetensors"));
  int compared = 0;
  for (const io::TensorEntry& tensor : want.tensors()) {
    if (!tensor.name.starts_with("action.")) {
      continue;
    }
    const io::NpyArray* array = got.value().find(tensor.name);
    ASSERT_NE(array, nullptr) << tensor.name;
    EXPECT_EQ(array->shape, tensor.view.shape) << tensor.name;
    EXPECT_LE(relative_error(values_of(array->view()), values_of(tensor.view)), kTolerance)
        << tensor.name;
    ++compared;
  }
  EXPECT_GT(compared, 0);
  const io::TensorEntry* normalized = want.find("action_pred");
  ASSERT_NE(normalized, nullptr);
  EXPECT_LE(relative_error(values_of(got.value().find("normalized")->view()),
                           values_of(normalized->view)),
            kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenInfer,
                         testing::Values("main", "main_steps1", "main_steps2", "main_steps8",
                                         "batch2_pad", "libero_horizon8",
                                         "g1_eef_relative_history"),
                         [](const auto& name) { return name.param; });

// The trained policy of examples/reach, at every recorded number of denoising steps.
TEST(DemoInfer, ActionsEqualTheOriginals) {
  const std::filesystem::path reach = "examples/reach";
  const io::Json meta = read_golden_json(reach / "golden" / "golden.json");
  for (const io::Json& step : meta["steps"]) {
    const std::string file_name = step["file"];
    const io::SafetensorsFile golden = open_golden(reach / "golden" / file_name);
    const TempFolder folder;
    std::vector<io::NamedTensor> tensors;
    for (const io::TensorEntry& tensor : golden.tensors()) {
      const std::string prefix = "observation.";
      if (tensor.name.starts_with(prefix)) {  // without the leading batch axis of one
        tensors.push_back(
            {tensor.name.substr(prefix.size()),
             {tensor.view.data, tensor.view.dtype, Shape(tensor.view.shape.extents().subspan(1))}});
      }
    }
    const std::string observation = folder / "obs.safetensors";
    ASSERT_TRUE(io::write_safetensors(observation, tensors,
                                      {{"language", step["instruction"].get<std::string>()}})
                    .ok());
    write_noise(golden, "noise", folder / "noise.npy");
    for (const io::Json& denoising_steps : meta["denoising_steps"]) {
      const std::string steps = std::to_string(denoising_steps.get<int>());
      const std::string output = folder / ("actions" + steps + ".safetensors");
      const Outcome outcome =
          run_sinew({"infer", reach / "checkpoints/reach-nano", "--observation", observation,
                     "--noise", folder / "noise.npy", "--device", test_device(), "--precision", "fp32",
                     "--denoising-steps", steps, "--output", output});
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      const io::SafetensorsFile got = open_golden(output);
      for (const io::TensorEntry& tensor : golden.tensors()) {
        const std::string prefix = "action." + steps + ".";
        if (tensor.name.starts_with(prefix)) {
          const io::TensorEntry* action = got.find("action." + tensor.name.substr(prefix.size()));
          ASSERT_NE(action, nullptr) << tensor.name;
          EXPECT_LE(relative_error(values_of(action->view), values_of(tensor.view)), kTolerance)
              << file_name << " " << tensor.name;
        }
      }
    }
  }
}

// Equal seeds give equal bits, other seeds do not; the noise file of one entry serves every sample.
TEST(Infer, SeedsAreReproducible) {
  const TempFolder folder;
  const GoldenCase golden = write_golden_case("main", folder);
  const auto actions = [&](const std::string& seed) {
    return json_of(
        run_sinew({"infer", kNano, "--vlm-path", kEagle, "--observation", golden.observation,
                   "--seed", seed, "--device", test_device(), "--json"}))["normalized"];
  };
  const io::Json first = actions("7");
  ASSERT_TRUE(first.is_array());
  EXPECT_EQ(first, actions("7"));
  EXPECT_NE(first, actions("8"));
  const Outcome both =
      run_sinew({"infer", kNano, "--vlm-path", kEagle, "--observation", golden.observation,
                 "--seed", "7", "--noise", golden.noise, "--device", test_device(), "--json"});
  EXPECT_THAT(both.err, testing::HasSubstr("--seed is ignored"));
}

}  // namespace
}  // namespace sinew::test
