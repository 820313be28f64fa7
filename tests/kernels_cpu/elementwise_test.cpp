#include "kernels/cpu/simd.h"
#include "kernels_cpu/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

namespace sinew::cpu::test {
namespace {

using Function = std::function<double(double x, double a, double b)>;
using Magnitude = std::function<double(double x, double a, double b)>;

struct Definition {
  ops::OpKind op;
  Function value;
  Magnitude magnitude;  // of the largest intermediate
  double roundings;
};

Case elementwise_case(const Definition& definition, int64_t m, int64_t d, bool a_repeats,
                      DType dtype, uint32_t seed) {
  Random random(seed);
  Case c;
  c.name = fmt::format("{} m={} d={}", ops::op_name(definition.op), m, d);
  c.op = definition.op;
  c.srcs.push_back(random.activations({m, d}, 3.0F));
  const bool is_euler = definition.op == ops::OpKind::kEulerStep;
  const size_t sources =
      definition.op == ops::OpKind::kModulate                                                ? 3
      : definition.op == ops::OpKind::kAdd || definition.op == ops::OpKind::kMul || is_euler ? 2
                                                                                             : 1;
  const Shape repeated = a_repeats ? Shape{d} : Shape{m, d};
  for (size_t i = 1; i < sources; ++i) {
    c.srcs.push_back(a_repeats && !is_euler ? random.weights(repeated, dtype)
                                            : random.activations(repeated));
  }
  if (is_euler) {
    c.attributes = ops::EulerAttributes{0.25F};
  }
  c.dst_shapes = {{m, d}};
  const auto x = c.srcs[0].effective();
  const auto a = sources > 1 ? c.srcs[1].effective() : std::vector<double>{0.0};
  const auto b = sources > 2 ? c.srcs[2].effective() : std::vector<double>{0.0};
  c.expected.emplace_back();
  c.bound.emplace_back();
  for (size_t i = 0; i < x.size(); ++i) {
    const double ai = a[i % a.size()];
    const double bi = b[i % b.size()];
    c.expected[0].push_back(definition.value(x[i], ai, bi));
    c.bound[0].push_back(definition.roundings * kRoundoff * definition.magnitude(x[i], ai, bi) +
                         1e-37);
  }
  return c;
}

std::vector<Definition> definitions() {
  using ops::OpKind;
  const auto abs_x = [](double x, double, double) { return std::abs(x); };
  const auto gelu_tanh = [](double x, double, double) {
    const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
    return 0.5 * x * (1 + std::tanh(u));
  };
  const auto gelu_erf = [](double x, double, double) {
    return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
  };
  return {
      {OpKind::kAdd, [](double x, double a, double) { return x + a; },
       [](double x, double a, double) { return std::abs(x + a); }, 1},
      {OpKind::kMul, [](double x, double a, double) { return x * a; },
       [](double x, double a, double) { return std::abs(x * a); }, 1},
      {OpKind::kModulate, [](double x, double a, double b) { return x * (1 + a) + b; },
       [](double x, double a, double b) { return std::abs(x) * (1 + std::abs(a)) + std::abs(b); },
       3},
      {OpKind::kEulerStep, [](double x, double a, double) { return x + 0.25 * a; },
       [](double x, double a, double) { return std::abs(x) + std::abs(a); }, 1},
      {OpKind::kRelu, [](double x, double, double) { return std::max(x, 0.0); }, abs_x, 0},
      {OpKind::kSilu, [](double x, double, double) { return x / (1 + std::exp(-x)); }, abs_x, 4},
      {OpKind::kGeluTanh, gelu_tanh, abs_x, 8},
      {OpKind::kGeluErf, gelu_erf, abs_x, 4},
  };
}

}  // namespace

std::vector<Case> elementwise_cases() {
  std::vector<Case> out;
  uint32_t seed = 300;
  for (const Definition& definition : definitions()) {
    for (const auto& [m, d] :
         {std::pair<int64_t, int64_t>{1, 1}, {2, 7}, {17, 81}, {7, 257}, {81, 1000}}) {
      const bool repeats = seed % 2 == 0 && definition.op != ops::OpKind::kEulerStep;
      const bool modulates = definition.op == ops::OpKind::kModulate;
      out.push_back(elementwise_case(definition, m, d, repeats || modulates,
                                     seed % 3 == 0 ? DType::kF16 : DType::kBf16, seed));
      ++seed;
    }
  }
  return out;
}

namespace {

// In units of the last place of the true value.
double exp_error(float x) {
  const double exact = std::exp(static_cast<double>(x));
  const int exponent = std::ilogb(exact);
  return std::abs(static_cast<double>(exp_f32(x)) - exact) / std::ldexp(1.0, exponent - 23);
}

TEST(Exp, IsWithinOneAndAHalfUlp) {
  double worst = 0;
  // Every 997th float of either sign where the result is normal.
  for (uint32_t bits = 0; bits < std::bit_cast<uint32_t>(88.37F); bits += 997) {
    const auto x = std::bit_cast<float>(bits);
    worst = std::max(worst, exp_error(x));
    if (x < 87.33F) {
      worst = std::max(worst, exp_error(-x));
    }
  }
  EXPECT_LE(worst, 1.5);
  RecordProperty("worst_ulp_times_1000", static_cast<int>(worst * 1000));
}

TEST(Exp, HandlesTheEndsOfItsRange) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exp_f32(0.0F), 1.0F);
  EXPECT_EQ(exp_f32(-0.0F), 1.0F);
  EXPECT_EQ(exp_f32(-infinity), 0.0F);
  EXPECT_EQ(exp_f32(-1000.0F), 0.0F);
  EXPECT_EQ(exp_f32(infinity), infinity);
  EXPECT_EQ(exp_f32(1000.0F), infinity);
  EXPECT_TRUE(std::isfinite(exp_f32(88.37F)));
  EXPECT_GT(exp_f32(-87.33F), 0.0F);
  EXPECT_TRUE(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
}

Case pick(ops::OpKind op) {
  for (const Case& c : all_cases()) {
    if (c.op == op) {
      return c;
    }
  }
  return {};
}

TEST(Elementwise, ActivationsKeepNaNAndSaturate) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ops::OpKind op :
       {ops::OpKind::kSilu, ops::OpKind::kGeluTanh, ops::OpKind::kGeluErf, ops::OpKind::kRelu}) {
    Case c = pick(op);
    c.srcs[0] = {.shape = {4}, .values = {nan, 1e4F, -1e4F, infinity}, .indices = {}};
    c.dst_shapes = {{4}};
    const std::vector<float> y = run_case(c)[0];
    EXPECT_TRUE(std::isnan(y[0])) << ops::op_name(op);
    EXPECT_EQ(y[1], 1e4F) << ops::op_name(op);
    EXPECT_EQ(y[2], 0.0F) << ops::op_name(op);
    EXPECT_EQ(y[3], infinity) << ops::op_name(op);
  }
}

TEST(Elementwise, EulerStepRoundsTheProductFirst) {
  Case c = pick(ops::OpKind::kEulerStep);
  // dt * v = 1/3 rounded; a fused step would give another last bit for some of these.
  const float dt = 1.0F / 3.0F;
  c.attributes = ops::EulerAttributes{dt};
  Random random(11);
  c.srcs = {random.activations({1000}), random.activations({1000})};
  c.dst_shapes = {{1000}};
  const std::vector<float> y = run_case(c)[0];
  bool fused_differs = false;
  for (size_t i = 0; i < 1000; ++i) {
    const float change = dt * c.srcs[1].values[i];
    ASSERT_EQ(y[i], c.srcs[0].values[i] + change);
    fused_differs |= y[i] != std::fma(dt, c.srcs[1].values[i], c.srcs[0].values[i]);
  }
  EXPECT_TRUE(fused_differs);
}

}  // namespace
}  // namespace sinew::cpu::test
