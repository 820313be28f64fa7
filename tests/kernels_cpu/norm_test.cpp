#include "kernels_cpu/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

namespace sinew::cpu::test {
namespace {

Case norm_case(bool is_centred, int64_t m, int64_t d, std::optional<DType> affine, float offset,
               uint32_t seed) {
  Random random(seed);
  Case c;
  c.name =
      fmt::format("{} m={} d={} offset={}", is_centred ? "layer_norm" : "rms_norm", m, d, offset);
  c.op = is_centred ? ops::OpKind::kLayerNorm : ops::OpKind::kRmsNorm;
  const float epsilon = 1e-6F;
  c.attributes = ops::NormAttributes{epsilon};
  c.srcs.push_back(random.activations({m, d}, 3.0F));
  for (float& x : c.srcs[0].values) {
    x += offset;
  }
  c.srcs.push_back(affine ? random.weights({d}, *affine) : Source{});
  if (is_centred) {
    c.srcs.push_back(affine ? random.weights({d}, *affine) : Source{});
  }
  c.dst_shapes = {{m, d}};

  const auto x = c.srcs[0].effective();
  const auto w = c.srcs[1].effective();
  c.expected.emplace_back();
  c.bound.emplace_back();
  for (size_t row = 0; row < static_cast<size_t>(m); ++row) {
    const auto width = static_cast<size_t>(d);
    double mean = 0;
    for (size_t i = 0; i < width && is_centred; ++i) {
      mean += x[row * width + i] / static_cast<double>(d);
    }
    double variance = 0;
    for (size_t i = 0; i < width; ++i) {
      variance += std::pow(x[row * width + i] - mean, 2) / static_cast<double>(d);
    }
    const double deviation = std::sqrt(variance + static_cast<double>(epsilon));
    for (size_t i = 0; i < width; ++i) {
      const double normal = (x[row * width + i] - mean) / deviation;
      const double scaled = affine ? normal * w[i] : normal;
      const double shift = affine && is_centred ? c.srcs[2].effective()[i] : 0.0;
      c.expected[0].push_back(scaled + shift);
      // Three roundings of what is at most |scaled| + |shift|.
      c.bound[0].push_back(3 * kRoundoff * (std::abs(scaled) + std::abs(shift)) + 1e-30);
    }
  }
  return c;
}

}  // namespace

std::vector<Case> norm_cases() {
  std::vector<Case> out;
  uint32_t seed = 200;
  for (const auto& [m, d] : {std::pair<int64_t, int64_t>{1, 1},
                             {2, 7},
                             {7, 17},
                             {17, 144},
                             {81, 257},
                             {257, 128},
                             {40, 1152}}) {
    for (const bool is_centred : {true, false}) {
      out.push_back(norm_case(is_centred, m, d, DType::kBf16, 0.0F, seed++));
    }
    out.push_back(norm_case(true, m, d, std::nullopt, 0.0F, seed++));
  }
  // A mean far above the deviation: what one-pass statistics get wrong.
  out.push_back(norm_case(true, 3, 1536, DType::kF32, 1000.0F, seed++));
  out.push_back(norm_case(false, 3, 2048, DType::kF16, 100.0F, seed++));
  return out;
}

}  // namespace sinew::cpu::test
