// fp32 parity with the original implementation at every recorded site of every golden case, through
// the public Policy.
#include "io/json.h"
#include "io/safetensors.h"
#include "support/golden_case.h"
#include "support/temp_folder.h"
#include "tensor/convert.h"

#include "sinew/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace sinew {
namespace {

const std::filesystem::path kGolden = "tests/golden";

constexpr double kMaxOverColumn =
    30;  // demand of the golden tolerances: max <= 30 x the recorded fp32 max
constexpr double kTembMax = 3e-5;  // settled bound for temb, whose column is at the noise of expf
constexpr double kActionRelative = 1e-5;

struct Tolerance {
  double rms = 1e-5;
  double max = 1e300;
};

std::map<std::string, Tolerance> read_tolerances() {
  std::map<std::string, Tolerance> out;
  const auto json = io::read_json_file(kGolden / "tolerances.json");
  EXPECT_TRUE(json.ok()) << json.status().message();
  for (const auto& [stage, row] : json.value().items()) {
    Tolerance t{.rms = row.at("fp32_rms_demand"),
                .max = kMaxOverColumn * row.at("fp32_max_column").get<double>()};
    if (stage.ends_with(".temb")) {
      t.max = kTembMax;
    }
    out[stage] = t;
  }
  return out;
}

std::vector<float> values_of(const ConstTensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  convert_to_f32(view, values);
  return values;
}

// "vis.embed.img0" -> the site "vis.embed", of which the golden file keeps the first image.
std::string site_of(const std::string& stage) {
  return stage.substr(0, stage.find(".img0"));
}

// Our values at a site, cut to what the golden tensor holds; padded rows of prompts are not
// compared.
struct Pair {
  std::vector<float> expected, actual;
};

// The rows of `x` [b, t, d] whose attention mask is 1.
std::vector<float> valid_rows(const std::vector<float>& x, const std::vector<float>& mask) {
  const size_t width = x.size() / mask.size();
  std::vector<float> kept;
  for (size_t row = 0; row < mask.size(); ++row) {
    if (mask[row] != 0) {
      kept.insert(kept.end(), x.begin() + static_cast<std::ptrdiff_t>(row * width),
                  x.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    }
  }
  return kept;
}

Pair pair_of(const std::string& stage, const ConstTensorView& golden,
             const io::SafetensorsFile& dump) {
  const io::TensorEntry* ours = dump.find(site_of(stage));
  if (ours == nullptr) {
    ADD_FAILURE() << "no site " << site_of(stage);
    return {};
  }
  Pair pair{values_of(golden), values_of(ours->view)};
  if (stage == "pixel_values.img0.rows0to55") {  // [3, 56, W] of [v, 3, H, W]
    const auto height = static_cast<size_t>(ours->view.shape[2]);
    const auto width = static_cast<size_t>(ours->view.shape[3]);
    std::vector<float> rows;
    for (size_t c = 0; c < 3; ++c) {
      const auto* first = &pair.actual[c * height * width];
      rows.insert(rows.end(), first, first + 56 * width);
    }
    pair.actual = rows;
  } else if (stage != site_of(stage)) {
    EXPECT_GE(pair.actual.size(), pair.expected.size());
    pair.actual.resize(pair.expected.size());  // the first image is the first rows
  } else if (stage.starts_with("llm.") || stage == "backbone_features" || stage == "vlln") {
    const auto mask = values_of(dump.find("attention_mask")->view);
    pair.expected = valid_rows(pair.expected, mask);
    pair.actual = valid_rows(pair.actual, mask);
  }
  return pair;
}

void compare(const std::string& label, const Pair& pair, const Tolerance& tolerance) {
  ASSERT_EQ(pair.expected.size(), pair.actual.size()) << label;
  double squares = 0;
  double reference = 0;
  double worst = 0;
  size_t worst_index = 0;
  for (size_t i = 0; i < pair.expected.size(); ++i) {
    const double error = std::fabs(static_cast<double>(pair.actual[i]) - pair.expected[i]);
    squares += error * error;
    reference += static_cast<double>(pair.expected[i]) * pair.expected[i];
    if (!(error <= worst)) {
      worst = error;
      worst_index = i;
    }
  }
  const double rms = reference > 0 ? std::sqrt(squares / reference) : std::sqrt(squares);
  EXPECT_LE(rms, tolerance.rms) << label << ": rms error relative to the rms of the stage";
  EXPECT_LE(worst, tolerance.max) << label << ": at " << worst_index << " expected "
                                  << pair.expected[worst_index] << ", found "
                                  << pair.actual[worst_index];
}

bool is_integer_tensor(const std::string& name) {
  return name == "input_ids" || name == "attention_mask";
}

void compare_case(const test::GoldenCase& golden, const io::SafetensorsFile& dump) {
  static const std::map<std::string, Tolerance> kTolerances = read_tolerances();
  size_t compared = 0;
  for (const io::TensorEntry& tensor : golden.expected.tensors()) {
    const std::string& name = tensor.name;
    const std::string label = golden.name + " " + name;
    if (is_integer_tensor(name)) {
      EXPECT_EQ(values_of(tensor.view), values_of(dump.find(name)->view)) << label;
      continue;
    }
    const bool is_derived = name.starts_with("obs.") || name == "noise" ||
                            name.ends_with("_mask") || name == "embodiment_id" ||
                            name == "vis.spatial_shapes" || name.ends_with(".timestep");
    if (is_derived) {
      continue;
    }
    const auto found = kTolerances.find(name);
    // Steps beyond the recorded four take the last one's demand.
    Tolerance tolerance = found != kTolerances.end() ? found->second : Tolerance{};
    const Pair pair = pair_of(name, tensor.view, dump);
    if (name.starts_with("action.") || name == "action_pred") {
      double largest = 1;
      for (const float x : pair.expected) {
        largest = std::max(largest, std::fabs(static_cast<double>(x)));
      }
      tolerance.max = std::min(tolerance.max, kActionRelative * largest);
    }
    compare(label, pair, tolerance);
    ++compared;
  }
  EXPECT_GE(compared, 4U);
}

class GoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, EverySiteWithinTolerance) {
  auto golden = test::load_golden_case(kGolden, GetParam());
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  const test::TempFolder folder;
  const bool rounds_rope = GetParam().ends_with("_rope_bf16");
  auto policy = Policy::load({.model_path = kGolden / "nano/checkpoint",
                              .embodiment_tag = golden.value().embodiment_tag,
                              .device = "cpu",
                              .precision = "fp32",
                              .denoising_steps = golden.value().denoising_steps,
                              .rope_inv_freq = rounds_rope ? "bf16" : "auto",
                              .dump_sites = folder.path()});
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  std::vector<Observation> observations;
  for (const test::GoldenSample& sample : golden.value().samples) {
    observations.push_back(sample.observation());
  }
  std::vector<ActionChunk> chunks(observations.size());
  const Status status = policy.value().act_batch(observations, chunks);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto dump = io::SafetensorsFile::open(folder.path() / "call_000000.safetensors");
  ASSERT_TRUE(dump.ok()) << dump.status().message();
  compare_case(golden.value(), dump.value());
}

std::vector<std::string> fp32_cases() {
  std::vector<std::string> names = test::golden_case_names(kGolden);
  std::erase_if(names, [](const std::string& name) { return name.ends_with("_server_bf16"); });
  return names;
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, testing::ValuesIn(fp32_cases()),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace
}  // namespace sinew
