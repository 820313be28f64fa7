#include "kernels/cpu/loops.h"

#include "kernels/cpu/simd.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace sinew::cpu {

namespace {

// 0.5 x (1 + tanh u) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3); the right-hand side
// needs one exponential and keeps its relative accuracy where tanh u is near -1.
SINEW_INLINE FloatLanes gelu_tanh(FloatLanes x) {
  constexpr float kMinusTwoRoot2OverPi = -1.5957691216057308F;
  constexpr float kCubic = 0.044715F;
  const FloatLanes u = kMinusTwoRoot2OverPi * (x + kCubic * (x * x * x));
  return x / (1.0F + exp_f32(u));
}

SINEW_INLINE FloatLanes silu(FloatLanes x) {
  return x / (1.0F + exp_f32(-x));
}

}  // namespace

SINEW_CPU_CLONES void gelu_tanh_loop(const float* x, float* y, int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return gelu_tanh(load_lanes(x + i, count));
  });
}

SINEW_CPU_CLONES void silu_loop(const float* x, float* y, int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return silu(load_lanes(x + i, count));
  });
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

void transpose_loop(const float* x, int64_t rows, int64_t columns, float* y) {
  constexpr int64_t kColumns = 16;  // a line of each row
  for (int64_t first = 0; first < columns; first += kColumns) {
    const int64_t n = std::min(kColumns, columns - first);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < n; ++i) {
        y[(first + i) * rows + r] = x[r * columns + first + i];
      }
    }
  }
}

SINEW_CPU_CLONES void narrow_loop(const float* x, Bf16* y, int64_t n) {
  fill_lanes(
      y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA { return load_lanes(x + i, count); });
}

SINEW_CPU_CLONES void add_narrow_loop(const float* x, const float* a, const float* /*b*/, Bf16* y,
                                      int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return load_lanes(x + i, count) + load_lanes(a + i, count);
  });
}

SINEW_CPU_CLONES void add_add_loop(const float* x, const float* a, const float* b, float* y,
                                   int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return (load_lanes(x + i, count) + load_lanes(a + i, count)) + load_lanes(b + i, count);
  });
}

SINEW_CPU_CLONES void add_gelu_tanh_loop(const float* x, const float* a, const float* /*b*/,
                                         float* y, int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return gelu_tanh(load_lanes(x + i, count) + load_lanes(a + i, count));
  });
}

SINEW_CPU_CLONES void add_gelu_tanh_narrow_loop(const float* x, const float* a, const float* /*b*/,
                                                Bf16* y, int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return gelu_tanh(load_lanes(x + i, count) + load_lanes(a + i, count));
  });
}

SINEW_CPU_CLONES void silu_mul_loop(const float* x, const float* a, const float* /*b*/, float* y,
                                    int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return silu(load_lanes(x + i, count)) * load_lanes(a + i, count);
  });
}

SINEW_CPU_CLONES void silu_mul_narrow_loop(const float* x, const float* a, const float* /*b*/,
                                           Bf16* y, int64_t n) {
  fill_lanes(y, n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
    return silu(load_lanes(x + i, count)) * load_lanes(a + i, count);
  });
}

}  // namespace sinew::cpu
