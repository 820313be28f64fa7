#include "base/float16.h"
#include "kernels/cpu/weights.h"
#include "kernels_cpu/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>

namespace sinew::cpu::test {
namespace {

struct LinearShape {
  int64_t m, k, n;
  bool weights_in_out;
  bool has_bias;
  DType dtype;                  // of the parameters in their file
  DType product = DType::kF32;  // what operands are rounded to
  DType x = DType::kF32;        // how activations are stored
  DType y = DType::kF32;        // how the result is
};

// The operand as a product takes it.
double operand(double x, DType product) {
  return product == DType::kBf16 ? static_cast<double>(to_float(to_bf16(static_cast<float>(x))))
                                 : x;
}

Case linear_case(const LinearShape& s, uint32_t seed) {
  Random random(seed);
  Case c;
  c.name = fmt::format("linear m={} k={} n={} in_out={} bias={} {}, {} x {} -> {}", s.m, s.k, s.n,
                       s.weights_in_out, s.has_bias, dtype_name(s.dtype), dtype_name(s.x),
                       dtype_name(s.product), dtype_name(s.y));
  c.op = ops::OpKind::kLinear;
  c.attributes = ops::LinearAttributes{s.weights_in_out};
  c.srcs.push_back(random.activations({s.m, s.k}, 1.0F, s.x));
  c.srcs.push_back(
      random.weights(s.weights_in_out ? Shape{s.k, s.n} : Shape{s.n, s.k}, s.dtype, 0.1F));
  c.srcs.push_back(s.has_bias ? random.weights({s.n}, s.dtype) : Source{});
  c.dst_shapes = {{s.m, s.n}};
  c.dst_dtype = s.y;
  c.product_dtype = s.product;

  const auto x = c.srcs[0].effective();
  const auto w = c.srcs[1].effective();
  const auto b = c.srcs[2].effective();
  c.expected.emplace_back();
  c.bound.emplace_back();
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = s.has_bias ? b[static_cast<size_t>(j)] : 0.0;
      double magnitude = std::abs(sum);
      for (int64_t p = 0; p < s.k; ++p) {
        const double term = operand(x[static_cast<size_t>(i * s.k + p)], s.product) *
                            w[static_cast<size_t>(s.weights_in_out ? p * s.n + j : j * s.k + p)];
        sum += term;
        magnitude += std::abs(term);
      }
      c.expected[0].push_back(sum);
      // k roundings that are independent in sign add up to the square root of their number;
      // products of two bf16 are exact in f32.
      const double error = (2 + std::sqrt(static_cast<double>(s.k))) * kRoundoff * magnitude;
      const double storing = s.y == DType::kBf16 ? kBf16Roundoff * (std::abs(sum) + error) : 0.0;
      c.bound[0].push_back(error + storing);
    }
  }
  return c;
}

}  // namespace

namespace {

// Products of bf16 operands: every way to store what goes in and comes out.
void add_bf16_cases(std::vector<Case>& out) {
  uint32_t seed = 200;
  for (const DType x : {DType::kF32, DType::kBf16}) {
    for (const DType y : {DType::kF32, DType::kBf16}) {
      for (const int64_t m : {1, 2, 7, 17, 33, 81, 257}) {
        for (const auto& [k, n] :
             {std::pair<int64_t, int64_t>{1, 1}, {2, 16}, {17, 33}, {144, 48}, {257, 81}}) {
          const bool weights_in_out = (seed & 1U) != 0;
          const bool has_bias = (seed & 2U) != 0;
          const DType stored = (seed & 4U) != 0 ? DType::kF32 : DType::kBf16;
          out.push_back(
              linear_case({m, k, n, weights_in_out, has_bias, stored, DType::kBf16, x, y}, seed++));
        }
      }
      out.push_back(
          linear_case({300, 33, 1030, false, true, DType::kBf16, DType::kBf16, x, y}, seed++));
      out.push_back(
          linear_case({17, 6144, 40, true, true, DType::kF16, DType::kBf16, x, y}, seed++));
    }
  }
}

}  // namespace

std::vector<Case> linear_cases() {
  std::vector<Case> out;
  uint32_t seed = 100;
  for (const int64_t m : {1, 2, 7, 17, 81, 257}) {
    for (const auto& [k, n] : {std::pair<int64_t, int64_t>{1, 1}, {17, 33}, {144, 48}, {257, 81}}) {
      out.push_back(linear_case({m, k, n, false, true, DType::kBf16}, seed++));
      out.push_back(linear_case({m, k, n, true, (seed & 2U) != 0, DType::kF32}, seed++));
    }
  }
  out.push_back(linear_case({17, 144, 576, false, false, DType::kF16}, seed++));
  // Long sums: where a library might split them over threads.
  out.push_back(linear_case({1, 4608, 96, false, true, DType::kBf16}, seed++));
  out.push_back(linear_case({17, 6144, 40, false, true, DType::kBf16}, seed++));
  add_bf16_cases(out);
  return out;
}

namespace {

TEST(Linear, RowsDoNotInfluenceEachOther) {
  Case c = linear_case({17, 144, 97, false, true, DType::kBf16}, 1);
  const std::vector<float> before = run_case(c)[0];
  for (size_t i = 0; i < 144; ++i) {
    c.srcs[0].values[i] = i % 2 == 0 ? 1e30F : -3.0F;
  }
  const std::vector<float> after = run_case(c)[0];
  EXPECT_NE(before[0], after[0]);
  const auto others = std::span(after).subspan(97);
  EXPECT_TRUE(same_bits(std::span(before).subspan(97), others));
}

TEST(WeightCache, ConvertsAndPacksOnce) {
  ThreadPool pool(1);
  WeightCache weights(pool);
  const std::vector<float> stored = {1.0F, 1.00390625F, -2.0F, 3.0F};  // the second is no bf16
  const ConstTensorView whole(stored.data(), DType::kF32, {2, 2});
  const ConstTensorView first_row(stored.data(), DType::kF32, {1, 2});
  const float* plain = weights.plain(whole).value();
  EXPECT_EQ(plain[1], 1.0F);
  EXPECT_EQ(plain[3], 3.0F);
  EXPECT_EQ(weights.plain(whole).value(), plain);
  EXPECT_NE(weights.plain(first_row).value(), plain);
  const PackedMatrix packed = weights.packed(whole, false, 2, DType::kF32).value();
  EXPECT_GE(weights.bytes(), packed.bytes());
  EXPECT_EQ(weights.packed(whole, false, 2, DType::kF32).value().panels, packed.panels);
  EXPECT_NE(weights.packed(whole, true, 2, DType::kF32).value().panels, packed.panels);
  EXPECT_NE(weights.packed(whole, false, 2, DType::kBf16).value().panels, packed.panels);
  EXPECT_EQ(packed.inputs, 2);
  EXPECT_EQ(packed.outputs, 2);
}

}  // namespace
}  // namespace sinew::cpu::test
