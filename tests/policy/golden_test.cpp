// fp32 parity with the original implementation at every recorded site of every golden case, through
// the public Policy.
#include "io/json.h"
#include "support/golden_case.h"
#include "support/golden_sites.h"

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

void compare(const std::string& label, const test::SitePair& pair, const Tolerance& tolerance) {
  ASSERT_EQ(pair.expected.size(), pair.actual.size()) << label;
  const test::SiteError error = test::error_of(pair);
  EXPECT_LE(error.rms, tolerance.rms) << label << ": rms error relative to the rms of the stage";
  EXPECT_LE(error.largest, tolerance.max)
      << label << ": at " << error.worst << " expected " << pair.expected[error.worst] << ", found "
      << pair.actual[error.worst];
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
      EXPECT_EQ(test::values_of(tensor.view), test::values_of(dump.find(name)->view)) << label;
      continue;
    }
    if (!test::is_real_stage(name)) {
      continue;
    }
    const auto found = kTolerances.find(name);
    // Steps beyond the recorded four take the last one's demand.
    Tolerance tolerance = found != kTolerances.end() ? found->second : Tolerance{};
    const test::SitePair pair = test::pair_of(name, tensor.view, dump);
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
  const bool rounds_rope = GetParam().ends_with("_rope_bf16");
  const auto run =
      test::run_golden(kGolden, golden.value(),
                       {.precision = "fp32", .rope_inv_freq = rounds_rope ? "bf16" : "auto"});
  ASSERT_TRUE(run.has_value());
  compare_case(golden.value(), run->dump);
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
