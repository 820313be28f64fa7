// Loops over a few thousand consecutive elements, the one implementation of each elementwise
// formula: the elementwise kernels run them over whole tensors, matrix products over the blocks
// they have just summed. Compiled for several instruction sets, with the same operations in the
// same order in each.
#pragma once

#include "base/float16.h"

#include <cstdint>

namespace sinew::cpu {

// y[i] = f(x[i]); x and y may be the same.
using UnaryLoop = void (*)(const float* x, float* y, int64_t n);
void gelu_tanh_loop(const float* x, float* y, int64_t n);
void gelu_erf_loop(const float* x, float* y, int64_t n);
void silu_loop(const float* x, float* y, int64_t n);
void relu_loop(const float* x, float* y, int64_t n);

// y[i] = f(x[i], a[i], b[i]); y may be x. `b` is unused by add and mul.
using TernaryLoop = void (*)(const float* x, const float* a, const float* b, float* y, int64_t n);
void add_loop(const float* x, const float* a, const float* b, float* y, int64_t n);
void mul_loop(const float* x, const float* a, const float* b, float* y, int64_t n);
// x (1 + a) + b
void modulate_loop(const float* x, const float* a, const float* b, float* y, int64_t n);

// y[i] = x[i] + dt v[i]; the product is rounded before the sum (spec/model.md section 9).
void euler_loop(const float* x, const float* velocity, float dt, float* y, int64_t n);

// What follows a product, in one pass over its sums: the same operations in the same order as the
// loops above one after the other. Of rows at once, since constants take as long to load as a line
// to compute.
template <class T>
struct FinishRows {
  const float* x = nullptr;  // [rows, n], each operand with its own row stride
  int64_t ldx = 0;
  const float* a = nullptr;
  int64_t lda = 0;  // 0: the same for all rows
  const float* b = nullptr;
  int64_t ldb = 0;
  T* y = nullptr;
  int64_t ldy = 0;
  int64_t rows = 0;
  int64_t n = 0;
};

template <class T>
using FinishLoop = void (*)(const FinishRows<T>& rows);
// x
void store_rows(const FinishRows<float>& rows);
void store_rows(const FinishRows<Bf16>& rows);
// x + a
void add_rows(const FinishRows<float>& rows);
void add_rows(const FinishRows<Bf16>& rows);
// (x + a) + b
void add_add_rows(const FinishRows<float>& rows);
// gelu_tanh(x + a)
void add_gelu_tanh_rows(const FinishRows<float>& rows);
void add_gelu_tanh_rows(const FinishRows<Bf16>& rows);
// silu(x) * a
void silu_mul_rows(const FinishRows<float>& rows);
void silu_mul_rows(const FinishRows<Bf16>& rows);

// y[i * rows + r] = x[r * columns + i]: a few rows as [columns][rows].
void transpose_loop(const float* x, int64_t rows, int64_t columns, float* y);

// Rounds to bf16, nearest even; NaN stays NaN.
void narrow_loop(const float* x, Bf16* y, int64_t n);

}  // namespace sinew::cpu
