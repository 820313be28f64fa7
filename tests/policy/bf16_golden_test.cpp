// bf16 runs against the original's float32 recordings: at every site at most 1.5 times as far off
// as the original's own bf16 arithmetic is.
#include "base/float16.h"
#include "io/json.h"
#include "support/golden_case.h"
#include "support/golden_sites.h"

#include "sinew/policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sinew {
namespace {

using test::GoldenCase;
using test::GoldenRun;
using test::SiteError;

const std::filesystem::path kGolden = "tests/golden";

constexpr double kMostOverOriginal = 1.5;

// Ours over the original's error at each site; says all of them if one is too large.
class Ratios {
 public:
  explicit Ratios(std::string name) : name_(std::move(name)) {}

  void add(const std::string& stage, const SiteError& ours, double originals) {
    // An original without error leaves no room; one that is not worse than ours always does.
    const bool is_good = ours.rms <= kMostOverOriginal * originals;
    are_good_ = are_good_ && is_good;
    table_ += fmt::format("{:<32} {:10.3g} {:10.3g} {:6.2f}{}\n", stage, ours.rms, originals,
                          ours.rms > 0 ? ours.rms / originals : 0.0, is_good ? "" : "  <--");
    ++sites_;
  }

  void expect_good(size_t least_sites) const {
    EXPECT_GE(sites_, least_sites);
    EXPECT_TRUE(are_good_) << name_ << ", rms errors relative to the rms of the stage\n"
                           << fmt::format("{:<32} {:>10} {:>10} {:>6}\n", "stage", "ours",
                                          "original", "ratio")
                           << table_;
  }

 private:
  std::string name_, table_;
  bool are_good_ = true;
  size_t sites_ = 0;
};

GoldenCase load(const std::string& name) {
  return test::load_golden_case(kGolden, name).value();
}

std::optional<GoldenRun> run_bf16(const GoldenCase& golden) {
  return test::run_golden(kGolden, golden, {.precision = "bf16"});
}

// What GoldenTest holds against the recordings: stands in for those that were not made.
std::optional<GoldenRun> run_fp32_rounded_rope(const GoldenCase& golden) {
  return test::run_golden(kGolden, golden, {.precision = "fp32", .rope_inv_freq = "bf16"});
}

// Values of the float32 recording with the rounded RoPE table, or of our run of it where the
// recording lacks the site. `shape_of` says which part of the site is meant.
std::vector<float> reference(const std::string& stage, const ConstTensorView& shape_of,
                             const io::SafetensorsFile* recording, const GoldenRun& fp32) {
  const io::TensorEntry* recorded = recording == nullptr ? nullptr : recording->find(stage);
  if (recorded != nullptr) {
    return test::pair_of(stage, recorded->view, fp32.dump).expected;
  }
  return test::pair_of(stage, shape_of, fp32.dump).actual;
}

TEST(Bf16Golden, EverySiteIsWithinTheOriginalsErrors) {
  const GoldenCase main = load("main");
  const GoldenCase rope = load("main_rope_bf16");
  const auto errors = io::read_json_file(kGolden / "bf16_errors.json");
  ASSERT_TRUE(errors.ok()) << errors.status().message();
  const auto bf16 = run_bf16(main);
  const auto fp32 = run_fp32_rounded_rope(main);
  ASSERT_TRUE(bf16 && fp32);
  Ratios ratios("main against the recorded errors");
  for (const io::TensorEntry& tensor : main.expected.tensors()) {
    const std::string& stage = tensor.name;
    if (!test::is_real_stage(stage)) {
      continue;
    }
    ASSERT_TRUE(errors.value().contains(stage)) << stage;
    const SiteError ours = test::error_of({reference(stage, tensor.view, &rope.expected, *fp32),
                                           test::pair_of(stage, tensor.view, bf16->dump).actual});
    ratios.add(stage, ours, errors.value().at(stage).at("rms").get<double>());
  }
  ratios.expect_good(45);
}

class Bf16CaseTest : public testing::TestWithParam<std::string> {};

// The recording of the original's bf16 run of the same observation.
TEST_P(Bf16CaseTest, IsWithinTheErrorsOfTheRecordedRun) {
  const GoldenCase server = load(GetParam());
  const bool has_recording = GetParam() == "main_server_bf16";
  const std::optional<GoldenCase> rope =
      has_recording ? std::optional(load("main_rope_bf16")) : std::nullopt;
  const auto bf16 = run_bf16(server);
  const auto fp32 = run_fp32_rounded_rope(server);
  ASSERT_TRUE(bf16 && fp32);
  Ratios ratios(GetParam());
  for (const io::TensorEntry& tensor : server.expected.tensors()) {
    const std::string& stage = tensor.name;
    if (!test::is_real_stage(stage)) {
      continue;
    }
    const std::vector<float> exact =
        reference(stage, tensor.view, rope ? &rope->expected : nullptr, *fp32);
    const test::SitePair pair = test::pair_of(stage, tensor.view, bf16->dump);
    ratios.add(stage, test::error_of({exact, pair.actual}),
               test::error_of({exact, pair.expected}).rms);
  }
  ratios.expect_good(11);
}

std::vector<std::string> server_cases() {
  std::vector<std::string> names = test::golden_case_names(kGolden);
  std::erase_if(names, [](const std::string& name) { return !name.ends_with("_server_bf16"); });
  return names;
}

INSTANTIATE_TEST_SUITE_P(Cases, Bf16CaseTest, testing::ValuesIn(server_cases()),
                         [](const auto& parameter) { return parameter.param; });

// Sites that only matrix products read are stored as bf16, and dumped as the numbers they are.
TEST(Bf16Golden, SitesStoredAsBf16AreDumpedAsF32) {
  const auto run = run_bf16(load("main"));
  ASSERT_TRUE(run);
  const io::TensorEntry* vlln = run->dump.find("vlln");
  ASSERT_NE(vlln, nullptr);
  EXPECT_EQ(vlln->view.dtype, DType::kF32);
  EXPECT_TRUE(std::ranges::all_of(test::values_of(vlln->view),
                                  [](float x) { return to_float(to_bf16(x)) == x; }));
  const std::vector<float> features = test::values_of(run->dump.find("backbone_features")->view);
  EXPECT_FALSE(std::ranges::all_of(features, [](float x) { return to_float(to_bf16(x)) == x; }));
}

}  // namespace
}  // namespace sinew
