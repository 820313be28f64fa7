// Vector code without intrinsics: functions cloned per instruction set, and an exponential that
// compilers vectorise. Every clone performs the same IEEE operations in the same order (contraction
// is off), so results do not depend on the machine.
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
#define SINEW_CPU_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define SINEW_CPU_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

namespace sinew::cpu {

// exp(x) within 1.5 ulp for results in the normal range; 0 below it, infinity above
// (x > 127.5 ln 2 = 88.376); NaN for NaN. Branch-free.
//
// x = n ln 2 + r with |r| <= ln(2)/2; exp(r) as its Taylor series to r^7, whose remainder is below
// 1e-8 there.
inline float exp_f32(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0x1.63p-1F;        // 9 bits, so that n * kLn2High is exact
  constexpr float kLn2Low = -0x1.bd0106p-13F;   // ln 2 - kLn2High
  constexpr float kRoundToInteger = 0x1.8p23F;  // adding it leaves the integer in the low bits
  constexpr float kLowest = -87.33654F;         // ln(smallest normal)
  constexpr float kHighest = 88.37626F;         // where n would become 128
  const float clamped = x < kLowest ? kLowest : (x > kHighest ? kHighest : x);
  const float shifted = clamped * kLog2E + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float tail = 1.0F / 5040.0F;
  tail = tail * r + 1.0F / 720.0F;
  tail = tail * r + 1.0F / 120.0F;
  tail = tail * r + 1.0F / 24.0F;
  tail = tail * r + 1.0F / 6.0F;
  tail = tail * r + 0.5F;
  const float series = (tail * (r * r) + r) + 1.0F;  // in [0.70, 1.42]
  const uint32_t exponent = std::bit_cast<uint32_t>(shifted) << 23;
  const float value = std::bit_cast<float>(std::bit_cast<uint32_t>(series) + exponent);
  const float floored = x < kLowest ? 0.0F : value;
  return x > kHighest ? __builtin_inff() : (x == x ? floored : x);
}

}  // namespace sinew::cpu
