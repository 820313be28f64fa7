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

// kRows rows of x in f32 from `row` on, a warp's stride apart, normalised where that is asked for,
// as bf16. Together, so that their loads and sums are under way at the same time.
// `modulation`: scale, then shift.
template <int kRows>
__device__ void stage_rows(const SkinnyArgs& a, const float* modulation, int row, int lane,
                           __nv_bfloat16* to) {
  float4 v[kRows][kRowLanes];
  float sum[kRows] = {};
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int64_t from = static_cast<int64_t>(row + r * kWarps) * a.k;
#pragma unroll
    for (int i = 0; i < kRowLanes; ++i) {
      const int c = 4 * (lane + i * kWarp);
      v[r][i] = c < a.k && row + r * kWarps < a.rows
                    ? *reinterpret_cast<const float4*>(static_cast<const float*>(a.x) + from + c)
                    : make_float4(0, 0, 0, 0);
      sum[r] += (v[r][i].x + v[r][i].y) + (v[r][i].z + v[r][i].w);
    }
  }
  float mean[kRows] = {};
  float factor[kRows];
  if (a.scale != nullptr) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      mean[r] = warp_sum(sum[r]) / static_cast<float>(a.k);
      float squares = 0;
#pragma unroll
      for (int i = 0; i < kRowLanes; ++i) {
        if (4 * (lane + i * kWarp) < a.k) {
          const float4 d = {v[r][i].x - mean[r], v[r][i].y - mean[r], v[r][i].z - mean[r],
                            v[r][i].w - mean[r]};
          squares += (d.x * d.x + d.y * d.y) + (d.z * d.z + d.w * d.w);
        }
      }
      factor[r] = rsqrtf(warp_sum(squares) / static_cast<float>(a.k) + a.epsilon);
    }
  }
#pragma unroll
  for (int i = 0; i < kRowLanes; ++i) {
    const int c = 4 * (lane + i * kWarp);
    if (c >= a.k) {
      continue;
    }
    float4 scale = make_float4(0, 0, 0, 0);
    float4 shift = scale;
    if (a.scale != nullptr) {
      scale = *reinterpret_cast<const float4*>(modulation + c);
      shift = *reinterpret_cast<const float4*>(modulation + a.k + c);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (row + r * kWarps >= a.rows) {
        continue;
      }
      float4 y = v[r][i];
      if (a.scale != nullptr) {
        y = {fmaf((y.x - mean[r]) * factor[r], 1.0F + scale.x, shift.x),
             fmaf((y.y - mean[r]) * factor[r], 1.0F + scale.y, shift.y),
             fmaf((y.z - mean[r]) * factor[r], 1.0F + scale.z, shift.z),
             fmaf((y.w - mean[r]) * factor[r], 1.0F + scale.w, shift.w)};
      }
      store_bf16(to, (row + r * kWarps) * static_cast<int64_t>(a.k + kSkinnyRowPad) + c, y);
    }
  }
}

// What follows the product and its bias.
__device__ float finished(const SkinnyArgs& a, float y, int row, int n) {
  if (a.activation == SkinnyActivation::kRelu) {
    y = y < 0.0F ? 0.0F : y;  // keeps a NaN, so that it is seen
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
  const uint4* const weights =
      static_cast<const uint4*>(a.w) + static_cast<int64_t>(blockIdx.x) * chunks * 2 * kWarp + lane;
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int chunk = warp + i * kWarps;
    if (chunk < chunks) {
      w[i][0] = __ldg(weights + chunk * 2 * kWarp);
      w[i][1] = __ldg(weights + chunk * 2 * kWarp + kWarp);
    }
  }
  float* const modulation = sums_of_warps + kWarps * kRows * kOutputs;
  if (a.scale != nullptr) {  // constants, too
    for (int i = static_cast<int>(threadIdx.x); i < a.k; i += kThreads) {
      modulation[i] = __ldg(a.scale + i);
      modulation[a.k + i] = __ldg(a.shift + i);
    }
    __syncthreads();
  }
  const int own = static_cast<int>(threadIdx.x) % kOutputs;  // output that this thread finishes
  const float bias = a.bias != nullptr ? __ldg(a.bias + first + own) : 0.0F;
  wait_for_producers();
  release_consumers();

  const auto* x = static_cast<const __nv_bfloat16*>(a.x);
  int64_t stride = a.k;
  if (a.x_is_f32) {
    auto* const staged =
        reinterpret_cast<__nv_bfloat16*>(modulation + (a.scale != nullptr ? 2 * a.k : 0));
    stride = a.k + kSkinnyRowPad;
    for (int row = warp; row < a.rows; row += 2 * kWarps) {
      stage_rows<2>(a, modulation, row, lane, staged);
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
    const int n = first + own;
    store(out, static_cast<int64_t>(a.leading_rows + row) * a.n + n, finished(a, y + bias, row, n));
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

// One thread a lane's 16 bytes.
__global__ void pack(const __nv_bfloat16* w, int64_t n, int64_t k, bool is_in_out, uint4* packed) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n * k / 8) {
    return;
  }
  const int lane = static_cast<int>(at % kWarp);
  const int64_t half = at / kWarp % 2;
  const int64_t chunk = at / (2 * kWarp) % (k / kChunk);
  const int64_t tile = at / (2 * kWarp) / (k / kChunk);
  const int64_t output = tile * kOutputs + half * 8 + lane / 4;
  const int64_t depth = chunk * kChunk + lane % 4 * 8;
  __align__(16) __nv_bfloat16 run[8];
  for (int i = 0; i < 8; ++i) {
    run[i] = is_in_out ? w[(depth + i) * n + output] : w[output * k + depth + i];
  }
  packed[at] = *reinterpret_cast<const uint4*>(run);
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

Status pack_skinny(const void* w, int64_t n, int64_t k, bool is_in_out, void* packed,
                   Stream stream) {
  const int64_t runs = n * k / 8;
  pack<<<static_cast<unsigned>((runs + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      static_cast<const __nv_bfloat16*>(w), n, k, is_in_out, static_cast<uint4*>(packed));
  return launch_status(cudaGetLastError(), "pack_skinny");
}

}  // namespace sinew::cuda
