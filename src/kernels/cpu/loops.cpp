#include "kernels/cpu/loops.h"

#include "kernels/cpu/simd.h"

#include <bit>
#include <cmath>
#include <numbers>

namespace sinew::cpu {

// 0.5 x (1 + tanh u) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3); the right-hand side
// needs one exponential and keeps its relative accuracy where tanh u is near -1.
SINEW_CPU_CLONES void gelu_tanh_loop(const float* x, float* y, int64_t n) {
  constexpr float kMinusTwoRoot2OverPi = -1.5957691216057308F;
  constexpr float kCubic = 0.044715F;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float u = kMinusTwoRoot2OverPi * (x[i] + kCubic * (x[i] * x[i] * x[i]));
    y[i] = x[i] / (1.0F + exp_f32(u));
  }
}

SINEW_CPU_CLONES void silu_loop(const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] / (1.0F + exp_f32(-x[i]));
  }
}

SINEW_CPU_CLONES void relu_loop(const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] < 0.0F ? 0.0F : x[i];  // keeps a NaN
  }
}

void gelu_erf_loop(const float* x, float* y, int64_t n) {
  constexpr float kInverseRoot2 = 1.0F / std::numbers::sqrt2_v<float>;
  for (int64_t i = 0; i < n; ++i) {
    y[i] = 0.5F * x[i] * (1.0F + std::erf(x[i] * kInverseRoot2));
  }
}

SINEW_CPU_CLONES void add_loop(const float* x, const float* a, const float* /*b*/, float* y,
                               int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] + a[i];
  }
}

SINEW_CPU_CLONES void mul_loop(const float* x, const float* a, const float* /*b*/, float* y,
                               int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] * a[i];
  }
}

SINEW_CPU_CLONES void modulate_loop(const float* x, const float* a, const float* b, float* y,
                                    int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] * (1.0F + a[i]) + b[i];
  }
}

SINEW_CPU_CLONES void euler_loop(const float* x, const float* velocity, float dt, float* y,
                                 int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float change = dt * velocity[i];
    y[i] = x[i] + change;
  }
}

SINEW_CPU_CLONES void narrow_loop(const float* __restrict x, Bf16* __restrict y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<uint32_t>(x[i]);
    const uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
    const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
    y[i].bits = static_cast<uint16_t>((is_nan ? (bits | 0x00400000U) : rounded) >> 16);
  }
}

}  // namespace sinew::cpu
