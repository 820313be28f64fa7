#include "kernels/cuda/device.cuh"
#include "kernels/cuda/fused/launch.cuh"
#include "kernels/cuda/fused/patch_rows.h"

#include <cuda_bf16.h>

namespace sinew::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = 8;  // results of a thread: 16 bytes

__global__ void __launch_bounds__(kThreads)
    patch_rows(const __grid_constant__ PatchRowsArgs a, int runs_of_row, int64_t runs) {
  wait_for_producers();
  release_consumers();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= runs) {
    return;
  }
  const auto patch = static_cast<int>(a.patch);
  const int line = 3 * patch;  // levels of one row of a patch, which lie together in the frame
  const int64_t index = i / runs_of_row;
  const int64_t column = index % a.columns;
  const int64_t row = index / a.columns;  // of all images
  const int64_t frame_line = a.columns * line;
  const uint8_t* const from = a.frames + row * patch * frame_line + column * line;
  const int first = static_cast<int>(i % runs_of_row) * kRun;
  __align__(16) __nv_bfloat16 run[kRun];
#pragma unroll
  for (int r = 0; r < kRun; ++r) {
    const int k = first + r;
    const bool is_patch = k < patch * line;
    const uint8_t level = is_patch ? from[k / line * frame_line + k % line] : 0;
    run[r] = __float2bfloat16_rn(is_patch ? (static_cast<float>(level) - 127.5F) / 127.5F : 0.0F);
  }
  static_cast<uint4*>(a.out)[i] = *reinterpret_cast<const uint4*>(run);
}

__global__ void __launch_bounds__(kThreads)
    pad(const __nv_bfloat16* w, int64_t n, int64_t k, int64_t padded, __nv_bfloat16* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n * padded) {
    const int64_t column = i % padded;
    out[i] = column < k ? w[i / padded * k + column] : __nv_bfloat16(0.0F);
  }
}

__global__ void __launch_bounds__(kThreads)
    repeated(const float* x, int64_t n, int64_t all, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < all) {
    out[i] = x[i % n];
  }
}

dim3 blocks_of(int64_t items) {
  return dim3(static_cast<unsigned>((items + kThreads - 1) / kThreads));
}

}  // namespace

Status enqueue_patch_rows(const PatchRowsArgs& args, Stream stream) {
  const int64_t runs_of_row = patch_depth(args.patch) / kRun;
  const int64_t runs = args.images * args.rows * args.columns * runs_of_row;
  return launch(
      patch_rows, "patch_rows",
      {.grid = blocks_of(runs), .block = dim3(kThreads), .is_dependent = args.is_dependent}, stream,
      args, static_cast<int>(runs_of_row), runs);
}

Status pad_rows(const void* w, int64_t n, int64_t k, int64_t padded, void* out, Stream stream) {
  pad<<<blocks_of(n * padded), kThreads, 0, stream>>>(static_cast<const __nv_bfloat16*>(w), n, k,
                                                      padded, static_cast<__nv_bfloat16*>(out));
  return launch_status(cudaGetLastError(), "pad_rows");
}

Status repeat(const float* x, int64_t n, int64_t times, float* out, Stream stream) {
  repeated<<<blocks_of(n * times), kThreads, 0, stream>>>(x, n, n * times, out);
  return launch_status(cudaGetLastError(), "repeat");
}

}  // namespace sinew::cuda
