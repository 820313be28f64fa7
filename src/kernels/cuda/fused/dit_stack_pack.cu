// The layouts of dit_stack_layout.h, made on the device: weights and vectors at load, keys and
// values once an observation.
#include "kernels/cuda/fused/dit_stack.h"

#include <cuda_bf16.h>

#include <algorithm>

namespace sinew::cuda::dit {
namespace {

constexpr int kRunsPerStage = kStageBytes / 16;
constexpr int kBlockThreads = 256;

__device__ const void* matrix_of(const BlockMatrices& w, Matrix m) {
  switch (m) {
    case Matrix::kQuery:
      return w.q_w;
    case Matrix::kKey:
      return w.k_w;
    case Matrix::kValue:
      return w.v_w;
    case Matrix::kOut:
      return w.out_w;
    case Matrix::kUp:
      return w.up_w;
    default:
      return w.down_w;
  }
}

// One CTA a stage of the stream: x = stage of the block, y = CTA that will read it.
__global__ void pack_block_kernel(BlockMatrices w, bool cross, uint4* packed) {
  const int cta = static_cast<int>(blockIdx.y);
  const int stage = static_cast<int>(blockIdx.x);
  uint4* to = packed + (static_cast<int64_t>(cta) * block_stages(cross) + stage) * kRunsPerStage;
  for (int i = static_cast<int>(threadIdx.x); i < kRunsPerStage; i += kBlockThreads) {
    constexpr int kGroupRuns = kRunsPerStage / 3;
    const WeightRun run = weight_at(cross, cta, stage, i / kGroupRuns, i % kGroupRuns);
    const int columns = run.matrix == Matrix::kDown ? kHidden : kWidth;
    const size_t at = (static_cast<size_t>(run.row) * columns + run.column) / 8;
    to[i] = reinterpret_cast<const uint4*>(matrix_of(w, run.matrix))[at];
  }
}

// sum of the row's weights * (1 + scale), and of weights * shift; absent: plain sum and zero
__device__ float2 fold_row(const uint4* packed, bool cross, Matrix matrix, int row,
                           const BlockModulation& m, int lane) {
  float gain = 0;
  float offset = 0;
  for (int column = 8 * lane; column < kWidth; column += 8 * 32) {
    const uint4 run = packed[run_of(cross, {matrix, row, column})];
    const auto* w = reinterpret_cast<const __nv_bfloat16*>(&run);
    for (int i = 0; i < 8; ++i) {
      const float value = __bfloat162float(w[i]);
      gain += m.scale != nullptr ? value * (1.F + m.scale[column + i]) : value;
      offset += m.shift != nullptr ? value * m.shift[column + i] : 0.F;
    }
  }
  for (int o = 16; o > 0; o /= 2) {
    gain += __shfl_xor_sync(~0U, gain, o);
    offset += __shfl_xor_sync(~0U, offset, o);
  }
  return make_float2(gain, offset);
}

// One warp a row of q, k, v and up (x over rows), and the plain vectors.
__global__ void fold_block_kernel(const uint4* packed, BlockBiases w, BlockModulation m, bool cross,
                                  float* vectors) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (row < 3 * kWidth) {
    const int part = row / kWidth;
    const int n = row % kWidth;
    float* to = vectors + n / kHeadDim * kVectorFloats;
    const int at = part * kHeadDim + n % kHeadDim;
    if (cross && part > 0) {
      if (lane == 0) {
        to[kQkvGain + at] = to[kQkvOffset + at] = 0;
      }
      return;
    }
    const float* biases[] = {w.q_b, w.k_b, w.v_b};
    const float2 f = fold_row(packed, cross, static_cast<Matrix>(part), n, m, lane);
    if (lane == 0) {
      to[kQkvGain + at] = f.x;
      to[kQkvOffset + at] = f.y + biases[part][n];
      if (part == 0) {
        to[kOutBias + n % kHeadDim] = w.out_b[n];
        to[kDownBias + n % kHeadDim] = w.down_b[n];
        to[kScale + n % kHeadDim] = 1.F + m.scale[n];
      }
    }
  } else if (row < 3 * kWidth + kHidden) {
    const int n = row - 3 * kWidth;
    const float2 f = fold_row(packed, cross, Matrix::kUp, n, {nullptr, nullptr}, lane);
    if (lane == 0) {
      float* to = vectors + n / kGroupRows * kVectorFloats;
      to[kUpGain + n % kGroupRows] = f.x;
      to[kUpOffset + n % kGroupRows] = w.up_b[n];
    }
  }
}

// x over 16-byte runs of a head's stages, y = head, z = block. Rows past the last token are zero.
__global__ void pack_contexts_kernel(const __grid_constant__ Contexts contexts) {
  const Context& c = contexts.of[blockIdx.z];
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int runs = context_stages(c.tokens) * kRunsPerStage;
  if (i >= runs) {
    return;
  }
  constexpr int kRowRuns = kHeadDim / 8;
  constexpr int kChunkRuns = kChunkBytes / 16;
  const int in_chunk = i % kChunkRuns;
  const bool is_value = in_chunk >= kChunkRuns / 2;
  const int token = i / kChunkRuns * kChunkKeys + in_chunk / kRowRuns % kChunkKeys;
  const int head = static_cast<int>(blockIdx.y);
  const size_t at =
      static_cast<size_t>(token) * (kWidth / 8) + head * kRowRuns + in_chunk % kRowRuns;
  const auto* from = static_cast<const uint4*>(is_value ? c.v : c.k);
  reinterpret_cast<uint4*>(c.packed)[static_cast<size_t>(head) * runs + i] =
      token < c.tokens ? from[at] : make_uint4(0, 0, 0, 0);
}

}  // namespace

cudaError_t pack_block(const BlockMatrices& w, bool cross, std::byte* packed, cudaStream_t stream) {
  const dim3 grid(block_stages(cross), kCtas);
  pack_block_kernel<<<grid, kBlockThreads, 0, stream>>>(w, cross, reinterpret_cast<uint4*>(packed));
  return cudaGetLastError();
}

cudaError_t fold_block(const std::byte* packed, const BlockBiases& biases, const BlockModulation& m,
                       int block, float* vectors, cudaStream_t stream) {
  constexpr int kRows = 3 * kWidth + kHidden;
  fold_block_kernel<<<kRows / (kBlockThreads / 32), kBlockThreads, 0, stream>>>(
      reinterpret_cast<const uint4*>(packed), biases, m, is_cross(block),
      vectors + static_cast<size_t>(block) * kHeads * kVectorFloats);
  return cudaGetLastError();
}

cudaError_t prepare_workspace(std::byte* workspace_bytes, int tokens, cudaStream_t stream) {
  return cudaMemsetAsync(workspace_bytes, 0xFF, workspace(token_tiles(tokens)).bytes, stream);
}

cudaError_t pack_contexts(const Contexts& contexts, int count, cudaStream_t stream) {
  int runs = 0;
  for (int i = 0; i < count; ++i) {
    runs = std::max(runs, context_stages(contexts.of[i].tokens) * kRunsPerStage);
  }
  const dim3 grid((runs + kBlockThreads - 1) / kBlockThreads, kHeads, count);
  pack_contexts_kernel<<<grid, kBlockThreads, 0, stream>>>(contexts);
  return cudaGetLastError();
}

}  // namespace sinew::cuda::dit
