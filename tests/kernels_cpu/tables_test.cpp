#include "base/float16.h"
#include "kernels_cpu/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace sinew::cpu::test {
namespace {

using ops::FrequencyRounding;
using ops::SinusoidForm;

// Of sin and cos of an angle time * exp(-exponent) in f32: exponent and its factor are rounded,
// which the exponential turns into a relative error of the angle; then exp, the product and the
// result.
double angle_bound(double angle, double exponent) {
  return kRoundoff * (1 + std::abs(angle) * (2 * exponent + 4)) + 1e-12;
}

Case sinusoid_case(SinusoidForm form, int64_t time, int64_t half) {
  Case c;
  c.name = fmt::format("time_sinusoid t={} half={}", time, half);
  c.op = ops::OpKind::kTimeSinusoid;
  c.attributes = ops::SinusoidAttributes{form, time, half};
  c.dst_shapes = {{1, 2 * half}};
  const bool sin_first = form == SinusoidForm::kSinCosExclusive;
  const auto steps = static_cast<double>(sin_first ? half : half - 1);
  c.expected.emplace_back();
  c.bound.emplace_back();
  for (const bool is_sin : {sin_first, !sin_first}) {
    for (int64_t i = 0; i < half; ++i) {
      const double exponent = static_cast<double>(i) / steps * std::log(10000.0);
      const double angle = static_cast<double>(time) * std::exp(-exponent);
      c.expected[0].push_back(is_sin ? std::sin(angle) : std::cos(angle));
      c.bound[0].push_back(angle_bound(angle, exponent));
    }
  }
  return c;
}

Case rope_table_case(int64_t head_dim, int64_t positions, int64_t first,
                     FrequencyRounding rounding) {
  Case c;
  c.name = fmt::format("rope_table e={} t={} first={}", head_dim, positions, first);
  c.op = ops::OpKind::kRopeTable;
  c.attributes = ops::RopeTableAttributes{.theta = 1e6,
                                          .head_dim = head_dim,
                                          .positions = positions,
                                          .first_position = first,
                                          .rounding = rounding};
  c.dst_shapes = {{positions, head_dim / 2}, {positions, head_dim / 2}};
  c.expected.resize(2);
  c.bound.resize(2);
  for (int64_t t = 0; t < positions; ++t) {
    for (int64_t k = 0; k < head_dim / 2; ++k) {
      const double exponent =
          2.0 * static_cast<double>(k) / static_cast<double>(head_dim) * std::log(1e6);
      double frequency = std::exp(-exponent);
      if (rounding == FrequencyRounding::kBf16) {
        frequency = static_cast<double>(to_float(to_bf16(static_cast<float>(frequency))));
      }
      const double angle = static_cast<double>(first + t) * frequency;
      c.expected[0].push_back(std::cos(angle));
      c.expected[1].push_back(std::sin(angle));
      c.bound[0].push_back(angle_bound(angle, exponent));
      c.bound[1].push_back(angle_bound(angle, exponent));
    }
  }
  return c;
}

}  // namespace

std::vector<Case> table_cases() {
  return {sinusoid_case(SinusoidForm::kSinCosExclusive, 250, 768),
          sinusoid_case(SinusoidForm::kSinCosExclusive, 750, 72),
          sinusoid_case(SinusoidForm::kSinCosExclusive, 0, 1),
          sinusoid_case(SinusoidForm::kCosSinInclusive, 500, 128),
          sinusoid_case(SinusoidForm::kCosSinInclusive, 333, 7),
          rope_table_case(128, 81, 0, FrequencyRounding::kFp32),
          rope_table_case(128, 17, 3, FrequencyRounding::kBf16),
          rope_table_case(48, 257, 0, FrequencyRounding::kBf16),
          rope_table_case(2, 1, 0, FrequencyRounding::kFp32)};
}

namespace {

// The specification prints exact values; the f32 exponential and product move an angle of up to 250
// by about one rounding each.
void expect_values(const std::vector<float>& actual, const std::map<size_t, double>& expected) {
  for (const auto& [index, value] : expected) {
    EXPECT_NEAR(static_cast<double>(actual[index]), value, 250 * 1.5 * kRoundoff) << index;
  }
}

// spec/model.md sections 7.2 and 8.1.
TEST(TimeSinusoid, HasTheValuesOfTheSpecification) {
  expect_values(run_case(sinusoid_case(SinusoidForm::kSinCosExclusive, 250, 768))[0],
                {{0, -0.970528},
                 {1, 0.919211},
                 {2, -0.824434},
                 {768, 0.240988},
                 {769, -0.393766},
                 {770, 0.565957}});
  expect_values(run_case(sinusoid_case(SinusoidForm::kCosSinInclusive, 250, 128))[0],
                {{0, 0.240988},
                 {1, 0.999443},
                 {2, -0.865828},
                 {127, 0.999688},
                 {128, -0.970528},
                 {129, 0.033374},
                 {130, 0.500341},
                 {255, 0.024997}});
  const std::vector<float> zero =
      run_case(sinusoid_case(SinusoidForm::kCosSinInclusive, 0, 128))[0];
  for (size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(zero[i], i < 128 ? 1.0F : 0.0F);
  }
}

// The frequency of a channel is the angle at position 1, where sin is one-to-one.
TEST(RopeTable, HasTheFrequenciesOfTheSpecification) {
  const std::map<size_t, std::pair<float, float>> samples = {{1, {0.80584222F, 0.8046875F}},
                                                             {2, {0.64938164F, 0.6484375F}},
                                                             {8, {0.17782794F, 0.17773438F}},
                                                             {16, {0.03162278F, 0.03173828F}},
                                                             {63, {1.24094e-6F, 1.24425e-6F}}};
  const auto exact = run_case(rope_table_case(128, 2, 0, FrequencyRounding::kFp32));
  const auto rounded = run_case(rope_table_case(128, 2, 0, FrequencyRounding::kBf16));
  for (const auto& [k, frequencies] : samples) {
    EXPECT_NEAR(exact[1][64 + k], std::sin(frequencies.first), 4e-6F * frequencies.first) << k;
    EXPECT_NEAR(rounded[1][64 + k], std::sin(frequencies.second), 4e-6F * frequencies.second) << k;
    EXPECT_EQ(exact[0][k], 1.0F);
    EXPECT_EQ(exact[1][k], 0.0F);
  }
}

// Sample values alone cannot tell the order of the f32 operations: this one can.
TEST(TimeSinusoid, RoundsEveryStepToF32) {
  const int64_t half = 768;
  const std::vector<float> tau =
      run_case(sinusoid_case(SinusoidForm::kSinCosExclusive, 750, half))[0];
  const auto step = static_cast<float>(std::log(10000.0) / 768.0);
  for (size_t i = 0; i < 768; ++i) {
    const float product = static_cast<float>(i) * step;
    const float angle = 750.0F * std::exp(-product);
    ASSERT_EQ(tau[i], std::sin(angle)) << i;
    ASSERT_EQ(tau[768 + i], std::cos(angle)) << i;
  }
}

}  // namespace
}  // namespace sinew::cpu::test
