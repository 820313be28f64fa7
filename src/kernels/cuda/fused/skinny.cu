// A block takes 16 outputs and all rows; its eight warps share the depth in chunks of 32. A lane
// reads eight neighbouring weights of two outputs and eight neighbouring values of a row at a time:
// mma.sync does not mind which depth is which as long as both sides agree, so nothing is shuffled.
// Partial sums meet in shared memory and are added in the order of warps.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/fused/gemm_epilogue.cuh"
#include "kernels/cuda/fused/launch.cuh"
#include "kernels/cuda/fused/mma.cuh"
#include "kernels/cuda/fused/skinny.h"

#include <cuda_bf16.h>

namespace sinew::cuda {
namespace {

constexpr int kWarps = kSkinnyWarps;
constexpr int kThreads = kWarps * kWarp;
constexpr int kOutputs = kSkinnyOutputs;
constexpr int kChunk = 32;
constexpr int kChunks = kSkinnyMaxDepth / (kWarps * kChunk);  // of a warp, at most
constexpr int kRowLanes = kSkinnyMaxDepth / (4 * kWarp);      // float4 of a row that a lane holds

// One row of x in f32, normalised where that is asked for, as bf16.
__device__ void stage_row(const SkinnyArgs& a, int row, int lane, __nv_bfloat16* to) {
  const float* const from = static_cast<const float*>(a.x) + static_cast<int64_t>(row) * a.k;
  float4 v[kRowLanes];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kRowLanes; ++i) {
    const int c = 4 * (lane + i * kWarp);
    v[i] = c < a.k ? *reinterpret_cast<const float4*>(from + c) : make_float4(0, 0, 0, 0);
    sum += (v[i].x + v[i].y) + (v[i].z + v[i].w);
  }
  float mean = 0;
  float factor = 1;
  if (a.scale != nullptr) {
    mean = warp_sum(sum) / static_cast<float>(a.k);
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kRowLanes; ++i) {
      if (4 * (lane + i * kWarp) < a.k) {
        const float4 d = {v[i].x - mean, v[i].y - mean, v[i].z - mean, v[i].w - mean};
        squares += (d.x * d.x + d.y * d.y) + (d.z * d.z + d.w * d.w);
      }
    }
    factor = rsqrtf(warp_sum(squares) / static_cast<float>(a.k) + a.epsilon);
  }
#pragma unroll
  for (int i = 0; i < kRowLanes; ++i) {
    const int c = 4 * (lane + i * kWarp);
    if (c >= a.k) {
      continue;
    }
    float4 y = v[i];
    if (a.scale != nullptr) {
      const float4 scale = *reinterpret_cast<const float4*>(a.scale + c);
      const float4 shift = *reinterpret_cast<const float4*>(a.shift + c);
      y = {fmaf((y.x - mean) * factor, 1.0F + scale.x, shift.x),
           fmaf((y.y - mean) * factor, 1.0F + scale.y, shift.y),
           fmaf((y.z - mean) * factor, 1.0F + scale.z, shift.z),
           fmaf((y.w - mean) * factor, 1.0F + scale.w, shift.w)};
    }
    store_bf16(to, c, y);
  }
}

__device__ float finished(const SkinnyArgs& a, float y, int row, int n) {
  if (a.bias != nullptr) {
    y += a.bias[n];
  }
  if (a.activation == SkinnyActivation::kRelu) {
    y = fmaxf(y, 0.0F);
  } else if (a.activation == SkinnyActivation::kSilu) {
    y = silu(y);
  }
  const int64_t at = static_cast<int64_t>(row) * a.n + n;
  if (a.addend != nullptr) {
    y += a.addend[at];
  }
  // rounded twice, as the op is defined
  return a.actions != nullptr ? __fadd_rn(a.actions[at], __fmul_rn(a.dt, y)) : y;
}

template <int kTiles>
__global__ void __launch_bounds__(kThreads, 1) skinny(const __grid_constant__ SkinnyArgs a) {
  extern __shared__ __align__(16) float sums_of_warps[];  // [warp][row][output]
  constexpr int kRows = 8 * kTiles;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int group = lane / 4;
  const int depth = lane % 4 * 8;
  const int first = static_cast<int>(blockIdx.x) * kOutputs;
  const int chunks = a.k / kChunk;

  uint4 w[kChunks][2];
  const auto* const weights =
      static_cast<const __nv_bfloat16*>(a.w) + static_cast<int64_t>(first + group) * a.k + depth;
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int chunk = warp + i * kWarps;
    if (chunk < chunks) {
      w[i][0] = __ldg(reinterpret_cast<const uint4*>(weights + chunk * kChunk));
      w[i][1] = __ldg(reinterpret_cast<const uint4*>(weights + int64_t{8} * a.k + chunk * kChunk));
    }
  }
  wait_for_producers();
  release_consumers();

  const auto* x = static_cast<const __nv_bfloat16*>(a.x);
  int64_t stride = a.k;
  if (a.x_is_f32) {
    auto* const staged =
        reinterpret_cast<__nv_bfloat16*>(sums_of_warps + kWarps * kRows * kOutputs);
    stride = a.k + kSkinnyRowPad;
    for (int row = warp; row < a.rows; row += kWarps) {
      stage_row(a, row, lane, staged + row * stride);
    }
    __syncthreads();
    x = staged;
  }

  float sums[kTiles][4] = {};
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int chunk = warp + i * kWarps;
    if (chunk < chunks) {
      const uint32_t low[4] = {w[i][0].x, w[i][1].x, w[i][0].y, w[i][1].y};
      const uint32_t high[4] = {w[i][0].z, w[i][1].z, w[i][0].w, w[i][1].w};
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const int row = 8 * t + group;
        uint4 b = make_uint4(0, 0, 0, 0);
        if (row < a.rows) {
          b = *reinterpret_cast<const uint4*>(x + row * stride + chunk * kChunk + depth);
        }
        mma::multiply_16(sums[t], low, b.x, b.y);
        mma::multiply_16(sums[t], high, b.z, b.w);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
    float* const to = sums_of_warps + (warp * kRows + 8 * t + lane % 4 * 2) * kOutputs + group;
    to[0] = sums[t][0];
    to[kOutputs] = sums[t][1];
    to[8] = sums[t][2];
    to[kOutputs + 8] = sums[t][3];
  }
  __syncthreads();
  const RealResult out{.data = a.out, .is_bf16 = !a.out_is_f32};
  for (int e = static_cast<int>(threadIdx.x); e < a.rows * kOutputs; e += kThreads) {
    float y = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) {
      y += sums_of_warps[i * kRows * kOutputs + e];
    }
    const int row = e / kOutputs;
    const int n = first + e % kOutputs;
    store(out, static_cast<int64_t>(a.leading_rows + row) * a.n + n, finished(a, y, row, n));
  }
  for (int e = static_cast<int>(threadIdx.x); e < a.leading_rows * kOutputs; e += kThreads) {
    const int64_t at = static_cast<int64_t>(e / kOutputs) * a.n + first + e % kOutputs;
    store(out, at, a.leading[at]);
  }
}

using Body = void (*)(SkinnyArgs);

Body body(int rows) {
  const int tiles = skinny_tiles(rows);
  return tiles == 2 ? &skinny<2> : tiles == 4 ? &skinny<4> : &skinny<7>;
}

constexpr int kSide = 32;  // of a transposed square

__global__ void transpose(const __nv_bfloat16* w, int64_t k, int64_t n, __nv_bfloat16* out) {
  __shared__ __nv_bfloat16 square[kSide][kSide + 2];
  const int64_t row = static_cast<int64_t>(blockIdx.y) * kSide;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kSide;
  const auto x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < kSide; y += static_cast<int>(blockDim.y)) {
    if (row + y < k && column + x < n) {
      square[y][x] = w[(row + y) * n + column + x];
    }
  }
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < kSide; y += static_cast<int>(blockDim.y)) {
    if (column + y < n && row + x < k) {
      out[(column + y) * k + row + x] = square[x][y];
    }
  }
}

}  // namespace

Status prepare_skinny(int rows, const ops::DeviceCaps& device) {
  return prepare_kernel(body(rows), "skinny", device.block_shared_bytes);
}

Status enqueue_skinny(const SkinnyArgs& args, Stream stream) {
  return launch(body(args.rows), "skinny",
                {.grid = dim3(static_cast<unsigned>(args.n / kOutputs)),
                 .block = dim3(kThreads),
                 .shared_bytes = skinny_shared_bytes(args.rows, args.k, args.x_is_f32),
                 .is_dependent = args.is_dependent},
                stream, args);
}

Status transpose_bf16(const void* w, int64_t k, int64_t n, void* out, Stream stream) {
  const dim3 grid(static_cast<unsigned>((n + kSide - 1) / kSide),
                  static_cast<unsigned>((k + kSide - 1) / kSide));
  transpose<<<grid, dim3(kSide, 8), 0, stream>>>(static_cast<const __nv_bfloat16*>(w), k, n,
                                                 static_cast<__nv_bfloat16*>(out));
  return launch_status(cudaGetLastError(), "transpose");
}

}  // namespace sinew::cuda
