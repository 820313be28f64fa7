// out = epilogue(a w^T) with mma.sync and cp.async: what runs where wgmma does not exist (sm_87, 89
// and after 90). A block of four warps takes 64 rows and 128 rows of w through a ring of three
// stages; rows of w go to shared memory in the order that gemm_epilogue.cuh wants.
#pragma once

#include "kernels/cuda/fused/gemm_epilogue.cuh"
#include "kernels/cuda/fused/launch.cuh"
#include "kernels/cuda/fused/mma.cuh"

namespace sinew::cuda {

namespace mma_gemm {

constexpr int kRows = 64;
constexpr int kColumns = 128;
constexpr int kDepth = 64;
constexpr int kStages = 3;
constexpr int kThreads = 128;
constexpr int kRowElements = kDepth + 8;  // eight rows of 16 bytes fall into distinct banks
constexpr int kStageElements = (kRows + kColumns) * kRowElements;
constexpr size_t kSharedBytes = size_t{kStages} * kStageElements * 2;

struct Operands {
  const __nv_bfloat16* a = nullptr;
  const __nv_bfloat16* w = nullptr;
  int k = 0;
  EpilogueOperands epilogue{};
};

// The row of w that belongs at row r of the tiles laid side by side.
template <bool kIsPaired>
__device__ __forceinline__ int source_row(int r, int n) {
  if constexpr (kIsPaired) {
    return r % 2 * (n / 2) + r / 32 * 16 + r % 8 / 2 * 4 + r % 32 / 8;
  } else {
    return r / 16 * 16 + r % 8 / 2 * 4 + r % 16 / 8 * 2 + r % 2;
  }
}

template <bool kIsPaired>
__device__ __forceinline__ void copy_stage(const Operands& o, uint32_t stage, int row, int column,
                                           int step) {
  const int thread = static_cast<int>(threadIdx.x);
  const int depth = step * kDepth + thread % 8 * 8;
  const bool is_deep = depth < o.k;
  const auto copy = [&](int to_row, const __nv_bfloat16* matrix, int from_row, int rows) {
    const bool is_there = is_deep && from_row < rows;
    const __nv_bfloat16* from =
        is_there ? matrix + static_cast<int64_t>(from_row) * o.k + depth : matrix;
    mma::copy_16(stage + static_cast<uint32_t>((to_row * kRowElements + thread % 8 * 8) * 2), from,
                 is_there);
  };
#pragma unroll
  for (int i = 0; i < kRows / 16; ++i) {
    const int r = i * 16 + thread / 8;
    copy(r, o.a, row + r, o.epilogue.m);
  }
#pragma unroll
  for (int i = 0; i < kColumns / 16; ++i) {
    const int r = i * 16 + thread / 8;
    copy(kRows + r, o.w, source_row<kIsPaired>(column + r, o.epilogue.n), o.epilogue.n);
  }
}

// kTall: m16 tiles of a warp; 4 / kTall warps lie below each other, the others beside.
template <int kTall>
__device__ __forceinline__ void multiply_stage(float (&sums)[kTall][32 * (3 - kTall)],
                                               uint32_t stage, int warp_row, int warp_column) {
  constexpr int kWide = 64 * (3 - kTall);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const uint32_t a_at =
      stage + static_cast<uint32_t>(((warp_row + lane % 16) * kRowElements + lane / 16 * 8) * 2);
  const uint32_t w_at =
      stage +
      static_cast<uint32_t>(
          ((kRows + warp_column + lane / 16 * 8 + lane % 8) * kRowElements + lane / 8 % 2 * 8) * 2);
#pragma unroll
  for (int i = 0; i < kDepth / 16; ++i) {
    uint32_t a[kTall][4];
#pragma unroll
    for (int t = 0; t < kTall; ++t) {
      mma::load_4(a[t], a_at + static_cast<uint32_t>((t * 16 * kRowElements + i * 16) * 2));
    }
#pragma unroll
    for (int j = 0; j < kWide / 8; j += 2) {
      uint32_t w[4];
      mma::load_4(w, w_at + static_cast<uint32_t>((j * 8 * kRowElements + i * 16) * 2));
#pragma unroll
      for (int t = 0; t < kTall; ++t) {
        mma::multiply_16(&sums[t][4 * j], a[t], w[0], w[1]);
        mma::multiply_16(&sums[t][4 * j + 4], a[t], w[2], w[3]);
      }
    }
  }
}

}  // namespace mma_gemm

template <GemmEpilogue kEpilogue>
__global__ void __launch_bounds__(mma_gemm::kThreads, 2)
    gemm_mma(const __grid_constant__ mma_gemm::Operands o) {
  using namespace mma_gemm;
  constexpr bool kIsPaired = kEpilogue == GemmEpilogue::kSwiGlu;
  constexpr int kTall = kEpilogue == GemmEpilogue::kHeadRope ? 1 : 2;  // a warp holds a whole head
  extern __shared__ __align__(128) uint8_t shared[];
  const uint32_t ring = mma::shared_address(shared);
  const int row = static_cast<int>(blockIdx.x) * kRows;
  const int column = static_cast<int>(blockIdx.y) * kColumns;
  const int steps = (o.k + kDepth - 1) / kDepth;
  const auto stage_at = [ring](int step) {
    return ring + static_cast<uint32_t>(step % kStages * kStageElements * 2);
  };
  release_consumers();
  wait_for_producers();
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) {
    if (i < steps) {
      copy_stage<kIsPaired>(o, stage_at(i), row, column, i);
    }
    mma::copy_commit();
  }
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_row = kTall == 1 ? warp * 16 : warp / 2 * 32;
  const int warp_column = kTall == 1 ? 0 : warp % 2 * 64;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float sums[kTall][32 * (3 - kTall)];
#pragma unroll
  for (int t = 0; t < kTall; ++t) {
    start_rows<kEpilogue>(o.epilogue, row + warp_row + t * 16 + lane / 4, column + warp_column,
                          true, sums[t]);
  }
  for (int step = 0; step < steps; ++step) {
    mma::copy_wait<kStages - 2>();
    __syncthreads();  // the stage is there, and the one before it has been read
    const int next = step + kStages - 1;
    if (next < steps) {
      copy_stage<kIsPaired>(o, stage_at(next), row, column, next);
    }
    mma::copy_commit();
    multiply_stage<kTall>(sums, stage_at(step), warp_row, warp_column);
  }
#pragma unroll
  for (int t = 0; t < kTall; ++t) {
    finish_rows<kEpilogue>(o.epilogue, row + warp_row + t * 16 + lane / 4, column + warp_column,
                           sums[t]);
  }
}

}  // namespace sinew::cuda
