// Device-side helpers that several leaf kernels share.
#pragma once

#include "kernels/cuda/real.h"

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace sinew::cuda {

constexpr int kWarp = 32;

__device__ inline float load(const RealSource& x, int64_t i) {
  return x.is_bf16 ? __bfloat162float(static_cast<const __nv_bfloat16*>(x.data)[i])
                   : static_cast<const float*>(x.data)[i];
}

__device__ inline void store(const RealResult& y, int64_t i, float value) {
  if (y.is_bf16) {
    static_cast<__nv_bfloat16*>(y.data)[i] = __float2bfloat16_rn(value);
  } else {
    static_cast<float*>(y.data)[i] = value;
  }
}

// The same total in every lane, summed in one fixed order.
__device__ inline float warp_sum(float value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffU, value, offset);
  }
  return value;
}

__device__ inline float warp_max(float value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, offset));
  }
  return value;
}

// The same total in every thread of the block. `scratch`: one float a warp, shared.
template <int kThreads>
__device__ inline float block_sum(float value, float* scratch) {
  value = warp_sum(value);
  __syncthreads();  // earlier readers of scratch are done
  if (threadIdx.x % kWarp == 0) {
    scratch[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  float total = 0;
  for (int i = 0; i < kThreads / kWarp; ++i) {
    total += scratch[i];
  }
  return total;
}

// Blocks of `threads` that cover n items once each; kernels loop in grid strides beyond.
inline unsigned int block_count(int64_t n, int threads) {
  const int64_t blocks = (n + threads - 1) / threads;
  return static_cast<unsigned int>(blocks < 1 << 20 ? blocks : 1 << 20);
}

}  // namespace sinew::cuda
