#include "synth/weight_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace sinew::synth {
namespace {

using model::gr00t_n1d6::TensorShape;

std::vector<Bf16> values(uint64_t seed, const TensorShape& tensor, int64_t first, size_t count) {
  std::vector<Bf16> out(count);
  WeightValues(seed, tensor).fill(first, out);
  return out;
}

// {mean, standard deviation}
std::pair<double, double> moments(const TensorShape& tensor) {
  constexpr size_t kCount = 40000;
  double sum = 0;
  double squares = 0;
  for (const Bf16 value : values(3, tensor, 0, kCount)) {
    const double x = to_float(value);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kCount;
  return {mean, std::sqrt(squares / kCount - mean * mean)};
}

TEST(SynthWeights, ScaleFollowsTheKindOfTensor) {
  const auto linear = moments({"x.q_proj.weight", {64, 1024}});
  EXPECT_NEAR(linear.first, 0, 0.001);
  EXPECT_NEAR(linear.second, 1.0 / 32, 0.0005);
  const auto slots = moments({"x.W1.W", {32, 100, 64}});  // [embodiments, in, out]
  EXPECT_NEAR(slots.second, 0.1, 0.002);
  const auto norm = moments({"x.layer_norm1.weight", {1152}});
  EXPECT_NEAR(norm.first, 1, 0.01);
  EXPECT_NEAR(norm.second, 0.05, 0.002);
  EXPECT_NEAR(moments({"x.fc1.bias", {1152}}).first, 0, 0.001);
  EXPECT_NEAR(moments({"x.W1.b", {32, 64}}).second, 0.02, 0.001);
}

// Fixed here so that another machine or compiler that computes other bytes is found out.
TEST(SynthWeights, BytesAreThoseOfEveryMachine) {
  std::string bits;
  for (const Bf16 value : values(42, {"x.weight", {4, 16}}, 0, 8)) {
    bits += std::to_string(value.bits) + " ";
  }
  EXPECT_EQ(bits, "48825 48623 48588 48780 48937 15957 16075 15877 ");
}

TEST(SynthWeights, PiecesAreThoseOfTheWhole) {
  const TensorShape tensor{"x.weight", {4, 16}};
  const auto whole = values(42, tensor, 0, 64);
  for (const int64_t first : {1, 2, 7, 32}) {
    const auto piece = values(42, tensor, first, 20);
    for (size_t i = 0; i < piece.size(); ++i) {
      EXPECT_EQ(piece[i].bits, whole[static_cast<size_t>(first) + i].bits) << first << " " << i;
    }
  }
}

TEST(SynthWeights, NamesAndSeedsGiveOtherValues) {
  const auto same = [](const std::vector<Bf16>& x, const std::vector<Bf16>& y) {
    size_t equal = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      equal += x[i].bits == y[i].bits ? 1 : 0;
    }
    return equal;
  };
  const auto base = values(42, {"x.weight", {4, 16}}, 0, 64);
  EXPECT_LT(same(base, values(42, {"y.weight", {4, 16}}, 0, 64)), 8U);
  EXPECT_LT(same(base, values(43, {"x.weight", {4, 16}}, 0, 64)), 8U);
  // Both halves of the seed count.
  EXPECT_LT(same(base, values(uint64_t{42} << 32, {"x.weight", {4, 16}}, 0, 64)), 8U);
  EXPECT_LT(same(base, values((uint64_t{1} << 32) + 42, {"x.weight", {4, 16}}, 0, 64)), 8U);
}

}  // namespace
}  // namespace sinew::synth
