// Vectors of 16 lanes in whatever registers there are, for loops that compilers do not vectorise on
// their own. For the sources of this folder alone: elsewhere, compilers warn of the ABI of vectors.
#pragma once

#include "base/float16.h"
#include "kernels/cpu/simd.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace sinew::cpu {

inline constexpr int64_t kLanes = 16;

using FloatLanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using WordLanes = uint32_t __attribute__((vector_size(kLanes * sizeof(uint32_t))));
using HalfLanes = uint16_t __attribute__((vector_size(kLanes * sizeof(uint16_t))));

template <>
struct WordsOf<FloatLanes> {
  using Type = WordLanes;
};

// The bits of to_bf16 in each lane.
SINEW_INLINE HalfLanes narrowed(FloatLanes x) {
  const auto bits = std::bit_cast<WordLanes>(x);
  const WordLanes rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
  return __builtin_convertvector((x == x ? rounded : (bits | 0x00400000U)) >> 16, HalfLanes);
}

// The first `count` elements of x; zeros behind them.
SINEW_INLINE FloatLanes load_lanes(const float* x, int64_t count = kLanes) {
  FloatLanes lanes{};
  std::memcpy(&lanes, x, static_cast<size_t>(count) * sizeof(float));
  return lanes;
}

SINEW_INLINE void store_lanes(FloatLanes lanes, float* y, int64_t count = kLanes) {
  std::memcpy(y, &lanes, static_cast<size_t>(count) * sizeof(float));
}

// Rounded to bf16.
SINEW_INLINE void store_lanes(FloatLanes lanes, Bf16* y, int64_t count = kLanes) {
  const HalfLanes halves = narrowed(lanes);
  std::memcpy(static_cast<void*>(y), &halves, static_cast<size_t>(count) * sizeof(Bf16));
}

// y[i] = compute(i) for n elements: `compute(i, count)` gives the lanes from i on, of which `count`
// matter.
template <class T, class Compute>
SINEW_INLINE void fill_lanes(T* y, int64_t n, const Compute& compute) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    store_lanes(compute(i, kLanes), y + i);
  }
  if (i < n) {
    store_lanes(compute(i, n - i), y + i, n - i);
  }
}

}  // namespace sinew::cpu
