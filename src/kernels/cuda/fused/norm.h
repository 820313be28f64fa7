// Norms of f32 rows into the bf16 that products read.
#pragma once

#include "kernels/cuda/stream.h"

#include "sinew/result.h"

#include <cstdint>

namespace sinew::cuda {

// layer_norm: out = (x - mean) rsqrt(variance + epsilon) * weight + bias; without a bias rms_norm:
// out = x rsqrt(mean(x^2) + epsilon) * weight
struct NormArgs {
  int64_t rows = 0;
  int64_t width = 0;              // % 4 == 0; up to 8192
  const float* x = nullptr;       // [rows, width]; with a pixel shuffle [4 rows, width / 4]
  const float* weight = nullptr;  // [width]
  const float* bias = nullptr;    // [width]; null: an RMS norm
  void* out = nullptr;            // [rows, width] bf16
  float epsilon = 0;
  // Of a layer_norm that the product behind applies (NormBehind in gemm.h): out = (x - mean) weight
  // alone, with the means as centres and the statistics of rows in one part.
  float* statistics = nullptr;
  float* centres = nullptr;  // [rows]
  // Reads row [rr, qq] of a grid as the 2x2 patches below it (spec: pixel shuffle, feature
  // 4 c + 2 i + j); 0: rows are read as they are.
  int64_t grid_rows = 0;  // of one image's patches
  int64_t grid_columns = 0;
  bool is_dependent = false;  // the device has programmatic dependent launch
};

Status check_norm(const NormArgs& args);

// Called once before the first launch.
Status prepare_norm(const NormArgs& args);
Status enqueue_norm(const NormArgs& args, Stream stream);

}  // namespace sinew::cuda
