// What a product needs of the layer norm before it to apply it behind (NormBehind in gemm.h): made
// once, when parameters are loaded.
#pragma once

#include "kernels/cuda/stream.h"
#include "kernels/cuda/weights.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sinew::cuda {

// Parameters in bf16, results in f32; sums in f32.
struct NormFold {
  int64_t n = 0;
  int64_t k = 0;
  const void* w = nullptr;       // [n, k]
  const void* bias = nullptr;    // [n]
  const void* weight = nullptr;  // [k], of the norm
  const void* shift = nullptr;   // [k], of the norm
  float* gain = nullptr;         // [n]: the sums of w weight over k
  float* offset = nullptr;       // [n]: the sums of w shift, and bias
};

Status enqueue_norm_fold(const NormFold& fold, Stream stream);

// Matrices of [rows, k] one below the other, and the vectors of all their rows.
struct FoldedProduct {
  const void* w = nullptr;
  const float* gain = nullptr;
  const float* offset = nullptr;
};

// `matrices` and `biases`, as many of each; norm weight and shift.
Result<FoldedProduct> folded_product(WeightStore& weights,
                                     std::span<const ConstTensorView> matrices,
                                     std::span<const ConstTensorView> biases,
                                     const ConstTensorView& norm_weight,
                                     const ConstTensorView& norm_shift);

}  // namespace sinew::cuda
