// Vector code without intrinsics: functions cloned per instruction set, vectors of 16 lanes in
// whatever registers there are, and an exponential of floats or of such vectors. Every clone
// performs the same IEEE operations in the same order (contraction is off), so results do not
// depend on the machine.
#pragma once

#include "base/float16.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

// Compiles the function for several instruction sets; the loader picks one. Sanitizers and other
// architectures get the plain function. Only for functions that call nothing but inlines.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__) || \
    !defined(__linux__)
#define SINEW_CPU_CLONES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SINEW_CPU_CLONES
#else
#define SINEW_CPU_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#else
#define SINEW_CPU_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

namespace sinew::cpu {

inline constexpr int64_t kLanes = 16;

using FloatLanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using WordLanes = uint32_t __attribute__((vector_size(kLanes * sizeof(uint32_t))));
using HalfLanes = uint16_t __attribute__((vector_size(kLanes * sizeof(uint16_t))));

#define SINEW_INLINE inline __attribute__((always_inline))
#define SINEW_INLINE_LAMBDA __attribute__((always_inline))

// Unsigned words as many as F has lanes: uint32_t for float.
template <class F>
using WordsOf = std::conditional_t<std::is_same_v<F, float>, uint32_t, WordLanes>;

// exp(x) within 1.5 ulp for results in the normal range; 0 below it, infinity above
// (x > 127.5 ln 2 = 88.376); NaN for NaN. Branch-free.
//
// x = n ln 2 + r with |r| <= ln(2)/2; exp(r) as its Taylor series to r^7, whose remainder is below
// 1e-8 there.
template <class F>
SINEW_INLINE F exp_f32(F x) {
  using Words = WordsOf<F>;
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0x1.63p-1F;        // 9 bits, so that n * kLn2High is exact
  constexpr float kLn2Low = -0x1.bd0106p-13F;   // ln 2 - kLn2High
  constexpr float kRoundToInteger = 0x1.8p23F;  // adding it leaves the integer in the low bits
  constexpr float kLowest = -87.33654F;         // ln(smallest normal)
  constexpr float kHighest = 88.37626F;         // where n would become 128
  const F raised = x < kLowest ? F{} + kLowest : x;
  const F clamped = raised > kHighest ? F{} + kHighest : raised;
  const F shifted = clamped * kLog2E + kRoundToInteger;
  const F n = shifted - kRoundToInteger;
  const F r = (clamped - n * kLn2High) - n * kLn2Low;
  F tail = F{} + 1.0F / 5040.0F;
  tail = tail * r + 1.0F / 720.0F;
  tail = tail * r + 1.0F / 120.0F;
  tail = tail * r + 1.0F / 24.0F;
  tail = tail * r + 1.0F / 6.0F;
  tail = tail * r + 0.5F;
  const F series = (tail * (r * r) + r) + 1.0F;  // in [0.70, 1.42]
  const Words exponent = std::bit_cast<Words>(shifted) << 23;
  const F value = std::bit_cast<F>(std::bit_cast<Words>(series) + exponent);
  const F floored = x < kLowest ? F{} : value;
  const F result = x > kHighest ? F{} + __builtin_inff() : floored;
  return x == x ? result : x;
}

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
