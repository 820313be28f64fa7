#include "kernels/cpu/loops.h"

#include "kernels/cpu/lanes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
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

namespace {

using Quad = float __attribute__((vector_size(4 * sizeof(float))));

// y[i * stride + r] = x[r * columns + i] for 4 rows and 4 columns.
SINEW_INLINE void transpose_quads(const float* x, int64_t columns, int64_t stride, float* y) {
  const auto row = [&](int64_t r) {
    Quad quad;
    std::memcpy(&quad, x + r * columns, sizeof(quad));
    return quad;
  };
  const Quad low01 = __builtin_shufflevector(row(0), row(1), 0, 4, 1, 5);
  const Quad high01 = __builtin_shufflevector(row(0), row(1), 2, 6, 3, 7);
  const Quad low23 = __builtin_shufflevector(row(2), row(3), 0, 4, 1, 5);
  const Quad high23 = __builtin_shufflevector(row(2), row(3), 2, 6, 3, 7);
  const auto store = [&](int64_t i, Quad quad) {
    std::memcpy(y + i * stride, &quad, sizeof(quad));
  };
  store(0, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
  store(1, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
  store(2, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
  store(3, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
}

}  // namespace

void transpose_loop(const float* x, int64_t rows, int64_t columns, float* y) {
  constexpr int64_t kColumns = 16;  // a line of each row
  const int64_t whole_rows = rows - rows % 4;
  for (int64_t first = 0; first < columns; first += kColumns) {
    const int64_t n = std::min(kColumns, columns - first);
    int64_t r = 0;
    for (; n == kColumns && r < whole_rows; r += 4) {
      for (int64_t i = first; i < first + kColumns; i += 4) {
        transpose_quads(x + r * columns + i, columns, rows, y + i * rows + r);
      }
    }
    for (; r < rows; ++r) {
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

namespace {

// y = compute(x, a) of all rows.
template <class T, class Compute>
SINEW_INLINE void fill_rows(const FinishRows<T>& rows, const Compute& compute) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* x = rows.x + r * rows.ldx;
    const float* a = rows.a + r * rows.lda;
    fill_lanes(rows.y + r * rows.ldy, rows.n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
      return compute(load_lanes(x + i, count), load_lanes(a + i, count));
    });
  }
}

template <class T>
SINEW_INLINE void store_all(const FinishRows<T>& rows) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* x = rows.x + r * rows.ldx;
    fill_lanes(rows.y + r * rows.ldy, rows.n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
      return load_lanes(x + i, count);
    });
  }
}

SINEW_INLINE FloatLanes sum(FloatLanes x, FloatLanes a) {
  return x + a;
}

SINEW_INLINE FloatLanes gelu_tanh_of_sum(FloatLanes x, FloatLanes a) {
  return gelu_tanh(x + a);
}

SINEW_INLINE FloatLanes silu_times(FloatLanes x, FloatLanes a) {
  return silu(x) * a;
}

}  // namespace

SINEW_CPU_CLONES void store_rows(const FinishRows<float>& rows) {
  store_all(rows);
}

SINEW_CPU_CLONES void store_rows(const FinishRows<Bf16>& rows) {
  store_all(rows);
}

SINEW_CPU_CLONES void add_rows(const FinishRows<float>& rows) {
  fill_rows(rows, sum);
}

SINEW_CPU_CLONES void add_rows(const FinishRows<Bf16>& rows) {
  fill_rows(rows, sum);
}

SINEW_CPU_CLONES void add_add_rows(const FinishRows<float>& rows) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* x = rows.x + r * rows.ldx;
    const float* a = rows.a + r * rows.lda;
    const float* b = rows.b + r * rows.ldb;
    fill_lanes(rows.y + r * rows.ldy, rows.n, [=](int64_t i, int64_t count) SINEW_INLINE_LAMBDA {
      return (load_lanes(x + i, count) + load_lanes(a + i, count)) + load_lanes(b + i, count);
    });
  }
}

SINEW_CPU_CLONES void add_gelu_tanh_rows(const FinishRows<float>& rows) {
  fill_rows(rows, gelu_tanh_of_sum);
}

SINEW_CPU_CLONES void add_gelu_tanh_rows(const FinishRows<Bf16>& rows) {
  fill_rows(rows, gelu_tanh_of_sum);
}

SINEW_CPU_CLONES void silu_mul_rows(const FinishRows<float>& rows) {
  fill_rows(rows, silu_times);
}

SINEW_CPU_CLONES void silu_mul_rows(const FinishRows<Bf16>& rows) {
  fill_rows(rows, silu_times);
}

}  // namespace sinew::cpu
