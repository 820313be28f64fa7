// Vector code without intrinsics: functions cloned per instruction set, and an exponential of
// floats or of vectors of them (lanes.h). Every clone performs the same IEEE operations in the same
// order (contraction is off), so results do not depend on the machine.
#pragma once

#include <bit>
#include <cstdint>

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

#define SINEW_INLINE inline __attribute__((always_inline))
#define SINEW_INLINE_LAMBDA __attribute__((always_inline))

// Unsigned words as many as F has lanes. Specialised for vectors in lanes.h.
template <class F>
struct WordsOf;

template <>
struct WordsOf<float> {
  using Type = uint32_t;
};

// exp(x) within 1.5 ulp for results in the normal range; 0 below it, infinity above
// (x > 127.5 ln 2 = 88.376); NaN for NaN. Branch-free.
//
// x = n ln 2 + r with |r| <= ln(2)/2; exp(r) as its Taylor series to r^7, whose remainder is below
// 1e-8 there.
template <class F>
SINEW_INLINE F exp_f32(F x) {
  using Words = typename WordsOf<F>::Type;
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

}  // namespace sinew::cpu
