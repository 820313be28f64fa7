// Norms of f32 rows: a warp a row (a block a row where rows are few and long), each value read once
// and kept in registers for the second pass.
#include "kernels/cuda/fused/launch.cuh"
#include "kernels/cuda/fused/norm.h"

#include <cuda_bf16.h>

namespace sinew::cuda {
namespace {

struct NormOperands {
  int rows = 0;
  int width = 0;
  const float* x = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;
  __nv_bfloat16* out = nullptr;
  float epsilon = 0;
  float* statistics = nullptr;
  float* centres = nullptr;
  int grid_rows = 0;
  int grid_columns = 0;
};

// Threads of a row: a warp, or a block of kThreads.
template <int kThreads>
__device__ __forceinline__ float sum_of_row(float v, float* partial) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) {
    v += __shfl_xor_sync(0xFFFFFFFFU, v, i);
  }
  if constexpr (kThreads == 32) {
    return v;
  } else {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    __syncthreads();  // the previous sum has been read
    if (threadIdx.x % 32 == 0) {
      partial[warp] = v;
    }
    __syncthreads();
    v = 0;
#pragma unroll
    for (int i = 0; i < kThreads / 32; ++i) {
      v += partial[i];
    }
    return v;
  }
}

// Four features of a row. Shuffled, they are channel f / 4 of four neighbouring patches.
template <bool kIsShuffled>
__device__ __forceinline__ float4 load_four(const NormOperands& o, int row, int feature) {
  if constexpr (!kIsShuffled) {
    return *reinterpret_cast<const float4*>(o.x + static_cast<int64_t>(row) * o.width + feature);
  } else {
    const int half_columns = o.grid_columns / 2;
    const int tokens = o.grid_rows / 2 * half_columns;
    const int token = row % tokens;
    const int64_t patch = static_cast<int64_t>(row / tokens) * tokens * 4 +
                          token / half_columns * 2 * o.grid_columns + token % half_columns * 2;
    const int channels = o.width / 4;
    const float* x = o.x + patch * channels + feature / 4;
    const int64_t below = static_cast<int64_t>(o.grid_columns) * channels;
    return {x[0], x[channels], x[below], x[below + channels]};
  }
}

// kFours: float4 values a thread, at most.
template <int kThreads, int kFours, bool kIsLayer, bool kIsShuffled>
__global__ void __launch_bounds__(kThreads == 32 ? 128 : kThreads)
    norm_f32_bf16(const __grid_constant__ NormOperands o) {
  __shared__ float partial[kThreads == 32 ? 1 : kThreads / 32];
  release_consumers();
  const int thread = static_cast<int>(threadIdx.x) % kThreads;
  float4 weight[kFours];
  float4 bias[kIsLayer ? kFours : 1];
#pragma unroll
  for (int i = 0; i < kFours; ++i) {
    const int feature = (i * kThreads + thread) * 4;
    if (feature < o.width) {
      weight[i] = __ldg(reinterpret_cast<const float4*>(o.weight + feature));
      if constexpr (kIsLayer) {
        bias[i] = __ldg(reinterpret_cast<const float4*>(o.bias + feature));
      }
    }
  }
  wait_for_producers();
  const int row = kThreads == 32 ? static_cast<int>(blockIdx.x * 4 + threadIdx.x / 32)
                                 : static_cast<int>(blockIdx.x);
  if (row >= o.rows) {
    return;
  }
  float4 x[kFours];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kFours; ++i) {
    const int feature = (i * kThreads + thread) * 4;
    x[i] = feature < o.width ? load_four<kIsShuffled>(o, row, feature) : float4{0, 0, 0, 0};
    sum += x[i].x + x[i].y + x[i].z + x[i].w;
  }
  const float width = static_cast<float>(o.width);
  const float mean = kIsLayer ? sum_of_row<kThreads>(sum, partial) / width : 0.0F;
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kFours; ++i) {
    if ((i * kThreads + thread) * 4 < o.width) {
      const float4 d{x[i].x - mean, x[i].y - mean, x[i].z - mean, x[i].w - mean};
      squares += d.x * d.x + d.y * d.y + d.z * d.z + d.w * d.w;
    }
  }
  squares = sum_of_row<kThreads>(squares, partial);
  float scale = rsqrtf(squares / width + o.epsilon);
  const bool is_behind = kIsLayer && o.statistics != nullptr;
  if (is_behind) {
    scale = 1;
    if (thread == 0) {
      *reinterpret_cast<float2*>(o.statistics + 2 * static_cast<int64_t>(row)) =
          make_float2(0, squares);
      o.centres[row] = mean;
    }
  }
#pragma unroll
  for (int i = 0; i < kFours; ++i) {
    const int feature = (i * kThreads + thread) * 4;
    if (feature < o.width) {
      const float4 w = weight[i];
      const float4 b = kIsLayer && !is_behind ? bias[kIsLayer ? i : 0] : float4{0, 0, 0, 0};
      const __nv_bfloat162 low = __floats2bfloat162_rn((x[i].x - mean) * scale * w.x + b.x,
                                                       (x[i].y - mean) * scale * w.y + b.y);
      const __nv_bfloat162 high = __floats2bfloat162_rn((x[i].z - mean) * scale * w.z + b.z,
                                                        (x[i].w - mean) * scale * w.w + b.w);
      const uint2 bits{reinterpret_cast<const uint32_t&>(low),
                       reinterpret_cast<const uint32_t&>(high)};
      *reinterpret_cast<uint2*>(o.out + static_cast<int64_t>(row) * o.width + feature) = bits;
    }
  }
}

// What runs rows of one kind.
struct NormKernel {
  void (*body)(NormOperands) = nullptr;
  int threads = 0;  // of a block
  int rows = 1;     // of a block
};

template <int kThreads, int kFours, bool kIsShuffled>
NormKernel kernel_of_kind(bool is_layer) {
  return {is_layer ? norm_f32_bf16<kThreads, kFours, true, kIsShuffled>
                   : norm_f32_bf16<kThreads, kFours, false, kIsShuffled>,
          kThreads == 32 ? 128 : kThreads, kThreads == 32 ? 4 : 1};
}

NormKernel kernel_of(const NormArgs& args) {
  const bool is_layer = args.bias != nullptr;
  if (args.grid_rows > 0) {
    return kernel_of_kind<256, 8, true>(is_layer);
  }
  if (args.width <= 1152) {
    return kernel_of_kind<32, 9, false>(is_layer);
  }
  if (args.width <= 2048) {
    return kernel_of_kind<128, 4, false>(is_layer);
  }
  return kernel_of_kind<256, 8, false>(is_layer);
}

}  // namespace

Status prepare_norm(const NormArgs& args) {
  return prepare_kernel(kernel_of(args).body, "norm_f32_bf16", 0);
}

Status enqueue_norm(const NormArgs& args, Stream stream) {
  const NormOperands o{.rows = static_cast<int>(args.rows),
                       .width = static_cast<int>(args.width),
                       .x = args.x,
                       .weight = args.weight,
                       .bias = args.bias,
                       .out = static_cast<__nv_bfloat16*>(args.out),
                       .epsilon = args.epsilon,
                       .statistics = args.statistics,
                       .centres = args.centres,
                       .grid_rows = static_cast<int>(args.grid_rows),
                       .grid_columns = static_cast<int>(args.grid_columns)};
  const NormKernel kernel = kernel_of(args);
  return launch(kernel.body, "norm_f32_bf16",
                {.grid = dim3(static_cast<unsigned>((o.rows + kernel.rows - 1) / kernel.rows)),
                 .block = dim3(static_cast<unsigned>(kernel.threads)),
                 .is_dependent = args.is_dependent},
                stream, o);
}

}  // namespace sinew::cuda
