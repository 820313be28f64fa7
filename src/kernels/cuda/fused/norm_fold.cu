// Sums over the rows of a matrix: a warp a row.
#include "kernels/cuda/fused/launch.cuh"
#include "kernels/cuda/fused/norm_fold.h"

#include <cuda_bf16.h>

namespace sinew::cuda {
namespace {

constexpr int kWarps = 8;  // of a block

__global__ void __launch_bounds__(kWarps * 32) fold_norm(const __grid_constant__ NormFold f) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= f.n) {
    return;
  }
  const auto at = [](const void* vector, int64_t i) {
    return __bfloat162float(static_cast<const __nv_bfloat16*>(vector)[i]);
  };
  float gain = 0;
  float offset = 0;
  for (int64_t i = lane; i < f.k; i += 32) {
    const float w = at(f.w, row * f.k + i);
    gain += w * at(f.weight, i);
    offset += w * at(f.shift, i);
  }
#pragma unroll
  for (int i = 16; i > 0; i /= 2) {
    gain += __shfl_xor_sync(0xFFFFFFFFU, gain, i);
    offset += __shfl_xor_sync(0xFFFFFFFFU, offset, i);
  }
  if (lane == 0) {
    f.gain[row] = gain;
    f.offset[row] = offset + at(f.bias, row);
  }
}

}  // namespace

Status enqueue_norm_fold(const NormFold& fold, Stream stream) {
  return launch(fold_norm, "fold_norm",
                {.grid = dim3(static_cast<unsigned>((fold.n + kWarps - 1) / kWarps)),
                 .block = dim3(kWarps * 32)},
                stream, fold);
}

}  // namespace sinew::cuda
