#include "kernels/cpu/softmax.h"

#include "kernels/cpu/simd.h"

#include <algorithm>

namespace sinew::cpu {
namespace {

SINEW_INLINE float greatest(const float* scores, int64_t visible) {
  constexpr int64_t kChains = 4;  // one comparison would wait for the other
  FloatLanes chains[kChains];
  std::fill_n(chains, kChains, FloatLanes{} - __builtin_inff());
  const int64_t whole = visible - visible % kLanes;
  int64_t i = 0;
  for (; i + kChains * kLanes <= whole; i += kChains * kLanes) {
    for (int64_t c = 0; c < kChains; ++c) {
      const FloatLanes x = load_lanes(scores + i + c * kLanes);
      chains[c] = x > chains[c] ? x : chains[c];
    }
  }
  FloatLanes lanes = chains[0];
  for (int64_t c = 1; c < kChains; ++c) {
    lanes = chains[c] > lanes ? chains[c] : lanes;
  }
  for (; i < whole; i += kLanes) {
    const FloatLanes x = load_lanes(scores + i);
    lanes = x > lanes ? x : lanes;
  }
  float maximum = -__builtin_inff();
  for (int64_t j = 0; j < kLanes; ++j) {
    maximum = lanes[j] > maximum ? lanes[j] : maximum;
  }
  for (; i < visible; ++i) {
    maximum = scores[i] > maximum ? scores[i] : maximum;
  }
  return maximum;
}

// 2^t within 2^-14 for -126 <= t <= 0 (a thirtieth of what rounding to bf16 costs), 2^-126 below;
// NaN for NaN. t = n + r with |r| <= 1/2, and 2^r by its Taylor series to r^4.
SINEW_INLINE FloatLanes exp2_16_bits(FloatLanes t) {
  constexpr float kRoundToInteger = 0x1.8p23F;  // adding it leaves the integer in the low bits
  const FloatLanes clamped = t < -126.0F ? FloatLanes{} - 126.0F : t;
  const FloatLanes shifted = clamped + kRoundToInteger;
  const FloatLanes r = clamped - (shifted - kRoundToInteger);
  FloatLanes series = FloatLanes{} + 0.00961812910F;  // ln(2)^4 / 4!
  series = series * r + 0.0555041087F;
  series = series * r + 0.240226507F;
  series = series * r + 0.693147181F;
  series = series * r + 1.0F;
  const WordLanes exponent = std::bit_cast<WordLanes>(shifted) << 23;
  return std::bit_cast<FloatLanes>(std::bit_cast<WordLanes>(series) + exponent);
}

// Stores numerator(lanes of scores) of all visible scores and zeros behind them. Returns the sum,
// in one order whatever the vector width.
template <class T, class Numerator>
SINEW_INLINE float add_up(const float* scores, int64_t visible, int64_t padded, T* numerators,
                          const Numerator& numerator) {
  FloatLanes sums{};
  const int64_t whole = visible - visible % kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    const FloatLanes lanes = numerator(load_lanes(scores + i));
    store_lanes(lanes, numerators + i);
    sums += lanes;
  }
  if (whole < visible) {
    FloatLanes lanes = numerator(load_lanes(scores + whole, visible - whole));
    for (int64_t j = visible - whole; j < kLanes; ++j) {
      lanes[j] = 0;
    }
    store_lanes(lanes, numerators + whole, visible - whole);
    sums += lanes;
  }
  std::fill(numerators + visible, numerators + padded, T{});
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) {
      sums[j] += sums[j + width];
    }
  }
  return sums[0];
}

}  // namespace

SINEW_CPU_CLONES float softmax_numerators(const float* scores, int64_t visible, int64_t padded,
                                          float scale, float* numerators) {
  const float scaled_maximum = greatest(scores, visible) * scale;
  return add_up(scores, visible, padded, numerators, [=](FloatLanes x) SINEW_INLINE_LAMBDA {
    return exp_f32(x * scale - scaled_maximum);
  });
}

SINEW_CPU_CLONES float softmax_numerators(const float* scores, int64_t visible, int64_t padded,
                                          float scale, Bf16* numerators) {
  constexpr float kLog2E = 1.44269504F;
  const float factor = scale * kLog2E;
  const float scaled_maximum = greatest(scores, visible) * factor;
  return add_up(scores, visible, padded, numerators, [=](FloatLanes x) SINEW_INLINE_LAMBDA {
    return exp2_16_bits(x * factor - scaled_maximum);
  });
}

}  // namespace sinew::cpu
