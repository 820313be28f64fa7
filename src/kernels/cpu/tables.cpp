// Tables computed from numbers alone: the two time sinusoids and the rotary cosines and sines. The
// order of the f32 operations is part of their definition (spec/model.md sections 5.3, 7.2, 8.1).
#include "base/check.h"
#include "base/float16.h"
#include "kernels/cpu/make.h"

#include <cmath>

namespace sinew::cpu {
namespace {

constexpr double kLn10000 = 9.210340371976184;

float frequency(const ops::SinusoidAttributes& attributes, int64_t i) {
  const auto index = static_cast<float>(i);
  if (attributes.form == ops::SinusoidForm::kSinCosExclusive) {
    const auto step = static_cast<float>(kLn10000 / static_cast<double>(attributes.half));
    return std::exp(-(index * step));
  }
  const float product = static_cast<float>(-kLn10000) * index;
  return std::exp(product / static_cast<float>(attributes.half - 1));
}

class TimeSinusoid final : public Kernel {
 public:
  TimeSinusoid(const ops::SinusoidAttributes& attributes, float* y)
      : attributes_(attributes), y_(y) {}

  void run(const RunContext& /*context*/) override {
    const bool sin_first = attributes_.form == ops::SinusoidForm::kSinCosExclusive;
    float* sin_out = y_ + (sin_first ? 0 : attributes_.half);
    float* cos_out = y_ + (sin_first ? attributes_.half : 0);
    for (int64_t i = 0; i < attributes_.half; ++i) {
      const float angle = static_cast<float>(attributes_.time) * frequency(attributes_, i);
      sin_out[i] = std::sin(angle);
      cos_out[i] = std::cos(angle);
    }
  }

 private:
  ops::SinusoidAttributes attributes_;
  float* y_;  // [1, 2 * half]
};

class RopeTable final : public Kernel {
 public:
  RopeTable(const ops::RopeTableAttributes& attributes, float* cos, float* sin)
      : attributes_(attributes), cos_(cos), sin_(sin) {}

  void run(const RunContext& /*context*/) override {
    const int64_t half = attributes_.head_dim / 2;
    for (int64_t k = 0; k < half; ++k) {
      const float exponent = static_cast<float>(2 * k) / static_cast<float>(attributes_.head_dim);
      float inverse = 1.0F / std::pow(static_cast<float>(attributes_.theta), exponent);
      if (attributes_.rounding == ops::FrequencyRounding::kBf16) {
        inverse = to_float(to_bf16(inverse));
      }
      for (int64_t t = 0; t < attributes_.positions; ++t) {
        const float angle = static_cast<float>(attributes_.first_position + t) * inverse;
        cos_[t * half + k] = std::cos(angle);
        sin_[t * half + k] = std::sin(angle);
      }
    }
  }

 private:
  ops::RopeTableAttributes attributes_;
  float* cos_;  // [positions, head_dim / 2]
  float* sin_;
};

}  // namespace

MadeKernel make_time_sinusoid(const BoundStep& step, WeightCache& /*weights*/) {
  const auto& attributes = std::get<ops::SinusoidAttributes>(step.attributes);
  SINEW_CHECK(step.dsts[0].shape.elements() == 2 * attributes.half);
  SINEW_CHECK(attributes.form == ops::SinusoidForm::kSinCosExclusive || attributes.half > 1);
  return std::unique_ptr<Kernel>(std::make_unique<TimeSinusoid>(attributes, real_result(step)));
}

MadeKernel make_rope_table(const BoundStep& step, WeightCache& /*weights*/) {
  const auto& attributes = std::get<ops::RopeTableAttributes>(step.attributes);
  const int64_t elements = attributes.positions * (attributes.head_dim / 2);
  SINEW_CHECK(step.dsts.size() == 2 && step.dsts[0].shape.elements() == elements &&
              step.dsts[1].shape.elements() == elements);
  return std::unique_ptr<Kernel>(
      std::make_unique<RopeTable>(attributes, real_result(step, 0), real_result(step, 1)));
}

}  // namespace sinew::cpu
