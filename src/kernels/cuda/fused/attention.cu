// Attention with mma.sync: a block takes 16 queries a warp of one head, walks the keys in blocks of
// 64 through a ring of two shared-memory stages, and keeps running maxima, sums and results in
// registers (online softmax, in base 2). Groups of warps may share the keys between them; their
// results are merged in a fixed order.
#include "kernels/cuda/fused/attention.h"
#include "kernels/cuda/fused/launch.cuh"
#include "kernels/cuda/fused/mma.cuh"

#include <cuda_bf16.h>

#include <algorithm>
#include <string>

namespace sinew::cuda {
namespace {

constexpr int kKeys = 64;  // of a block
constexpr int kStages = 2;
constexpr float kLog2E = 1.4426950409F;

struct AttentionOperands {
  int queries = 0;
  int keys = 0;
  int group = 1;  // heads that share a key-value head
  int is_causal = 0;
  float scale = 1;  // times log2(e)
  const __nv_bfloat16* q = nullptr;
  const __nv_bfloat16* k = nullptr;
  const __nv_bfloat16* v = nullptr;
  __nv_bfloat16* out = nullptr;
  int q_stride = 0;
  int k_stride = 0;
  int v_stride = 0;
  int out_stride = 0;
};

// Elements of a row in shared memory: eight rows of 16 bytes each fall into distinct banks.
constexpr __host__ __device__ int row_elements(int head_dim) {
  return head_dim % 16 == 8 ? head_dim : head_dim + 8;
}

constexpr __host__ __device__ int stage_elements(int head_dim) {
  return 2 * kKeys * row_elements(head_dim);
}

constexpr size_t shared_bytes(int head_dim, int key_parts) {
  return static_cast<size_t>(kStages * key_parts * stage_elements(head_dim)) * 2;
}

__device__ __forceinline__ float exponential(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// What one warp knows about its 16 queries; this thread: rows lane / 4 and lane / 4 + 8.
template <int kHeadDim>
struct Rows {
  float out[kHeadDim / 8][4];
  float most[2];  // so far, of the scaled scores
  float sum[2];
};

// 64 keys and values from `first` on; rows beyond `keys` are zeros.
template <int kHeadDim, int kThreads>
__device__ __forceinline__ void copy_keys(uint32_t stage, const __nv_bfloat16* k, int k_stride,
                                          const __nv_bfloat16* v, int v_stride, int first, int keys,
                                          const __nv_bfloat16* anywhere, int thread) {
  constexpr int kChunks = kHeadDim / 8;
  constexpr int kRow = row_elements(kHeadDim);
  constexpr int kRowsAtOnce = kThreads / kChunks;
  const int chunk = thread % kChunks * 8;
  const int start = thread / kChunks;
  if (start >= kRowsAtOnce) {
    return;
  }
  k += static_cast<int64_t>(first + start) * k_stride + chunk;
  v += static_cast<int64_t>(first + start) * v_stride + chunk;
  uint32_t to = stage + static_cast<uint32_t>((start * kRow + chunk) * 2);
  // Rows that are not there are not read, but the address must be valid.
#pragma unroll
  for (int i = 0; i < (kKeys + kRowsAtOnce - 1) / kRowsAtOnce; ++i) {
    const int row = start + i * kRowsAtOnce;
    if (row < kKeys) {
      const bool is_there = first + row < keys;
      mma::copy_16(to, is_there ? k : anywhere, is_there);
      mma::copy_16(to + kKeys * kRow * 2, is_there ? v : anywhere, is_there);
    }
    k += static_cast<int64_t>(kRowsAtOnce) * k_stride;
    v += static_cast<int64_t>(kRowsAtOnce) * v_stride;
    to += kRowsAtOnce * kRow * 2;
  }
}

template <int kHeadDim>
__device__ __forceinline__ void load_queries(uint32_t (&q)[kHeadDim / 8][2],
                                             const __nv_bfloat16* rows, int stride, int first,
                                             int queries) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = first + lane / 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int from = min(row + 8 * half, queries - 1);
    const __nv_bfloat16* source = rows + static_cast<int64_t>(from) * stride + 2 * (lane % 4);
#pragma unroll
    for (int i = 0; i < kHeadDim / 8; ++i) {
      q[i][half] = *reinterpret_cast<const uint32_t*>(source + 8 * i);
    }
  }
}

// scores [16, 64] of the keys of a stage.
template <int kHeadDim>
__device__ __forceinline__ void score(float (&scores)[8][4], const uint32_t (&q)[kHeadDim / 8][2],
                                      uint32_t keys) {
  constexpr int kRow = row_elements(kHeadDim);
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    scores[n][0] = scores[n][1] = scores[n][2] = scores[n][3] = 0;
  }
  // Tiles of ldmatrix: keys 0-7 and 8-15, depths 0-7 and 8-15 of each.
  const uint32_t at =
      keys + static_cast<uint32_t>(((lane / 16 * 8 + lane % 8) * kRow + lane / 8 % 2 * 8) * 2);
#pragma unroll
  for (int i = 0; i < kHeadDim / 16; ++i) {
    const uint32_t a[4] = {q[2 * i][0], q[2 * i][1], q[2 * i + 1][0], q[2 * i + 1][1]};
    // All loads of a step before its products: the first product does not wait for the last load.
    uint32_t b[4][4];
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      mma::load_4(b[n], at + static_cast<uint32_t>((n * 16 * kRow + i * 16) * 2));
    }
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      mma::multiply_16(scores[2 * n], a, b[n][0], b[n][1]);
      mma::multiply_16(scores[2 * n + 1], a, b[n][2], b[n][3]);
    }
  }
  if constexpr (kHeadDim % 16 == 8) {
    const uint32_t last = keys + static_cast<uint32_t>((lane * kRow + kHeadDim - 8) * 2);
#pragma unroll
    for (int n = 0; n < 8; n += 4) {
      uint32_t b[4];
      mma::load_4(b, last + static_cast<uint32_t>(n * 8 * kRow * 2));
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        mma::multiply_8(scores[n + j], q[kHeadDim / 8 - 1][0], q[kHeadDim / 8 - 1][1], b[j]);
      }
    }
  }
}

// Scores to softmax numerators as operands of the second product; rescales what is there.
template <int kHeadDim>
__device__ __forceinline__ void take_numerators(Rows<kHeadDim>& rows, float (&scores)[8][4],
                                                const AttentionOperands& o, int first_key,
                                                int first_query, bool is_edge) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (is_edge) {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = first_key + 8 * n + 2 * (lane % 4) + i % 2;
        const int query = first_query + lane / 4 + 8 * (i / 2);
        if (key >= o.keys || (o.is_causal != 0 && key > query)) {
          scores[n][i] = -INFINITY;
        }
      }
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float most = -INFINITY;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      most = fmaxf(most, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    }
    most = fmaxf(most, __shfl_xor_sync(0xFFFFFFFFU, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xFFFFFFFFU, most, 2));
    most = fmaxf(most * o.scale, rows.most[half]);
    // A row that has seen no key yet stays at zero.
    const float origin = most == -INFINITY ? 0.0F : most;
    const float rescale = exponential(rows.most[half] - origin);
    rows.most[half] = most;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        scores[n][i] = exponential(fmaf(scores[n][i], o.scale, -origin));
        sum += scores[n][i];
      }
    }
    rows.sum[half] = rows.sum[half] * rescale + sum;
#pragma unroll
    for (int d = 0; d < kHeadDim / 8; ++d) {
      rows.out[d][2 * half] *= rescale;
      rows.out[d][2 * half + 1] *= rescale;
    }
  }
}

__device__ __forceinline__ uint32_t bf16_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const uint32_t&>(pair);
}

// out += numerators [16, 64] values [64, head_dim]
template <int kHeadDim>
__device__ __forceinline__ void add_values(Rows<kHeadDim>& rows, const float (&p)[8][4],
                                           uint32_t values) {
  constexpr int kRow = row_elements(kHeadDim);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const uint32_t at = values + static_cast<uint32_t>((lane % 16 * kRow + lane / 16 * 8) * 2);
#pragma unroll
  for (int i = 0; i < kKeys / 16; ++i) {
    const uint32_t a[4] = {bf16_pair(p[2 * i][0], p[2 * i][1]), bf16_pair(p[2 * i][2], p[2 * i][3]),
                           bf16_pair(p[2 * i + 1][0], p[2 * i + 1][1]),
                           bf16_pair(p[2 * i + 1][2], p[2 * i + 1][3])};
    const uint32_t row = at + static_cast<uint32_t>(i * 16 * kRow * 2);
    uint32_t b[kHeadDim / 16][4];
#pragma unroll
    for (int d = 0; d < kHeadDim / 16; ++d) {
      mma::load_4_transposed(b[d], row + static_cast<uint32_t>(d * 32));
    }
    uint32_t last[2];
    if constexpr (kHeadDim % 16 == 8) {
      mma::load_2_transposed(last[0], last[1],
                             row + static_cast<uint32_t>((kHeadDim / 8 - 1) * 16));
    }
#pragma unroll
    for (int d = 0; d < kHeadDim / 16; ++d) {
      mma::multiply_16(rows.out[2 * d], a, b[d][0], b[d][1]);
      mma::multiply_16(rows.out[2 * d + 1], a, b[d][2], b[d][3]);
    }
    if constexpr (kHeadDim % 16 == 8) {
      mma::multiply_16(rows.out[kHeadDim / 8 - 1], a, last[0], last[1]);
    }
  }
}

// Adds what another group of warps found about the same queries, `from` [rows as written by
// publish].
template <int kHeadDim>
__device__ __forceinline__ void publish(const Rows<kHeadDim>& rows, float* to) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    to[half * 32] = rows.most[half];
    to[(2 + half) * 32] = rows.sum[half];
  }
#pragma unroll
  for (int d = 0; d < kHeadDim / 8; ++d) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      to[(4 + 4 * d + i) * 32] = rows.out[d][i];
    }
  }
}

template <int kHeadDim>
__device__ __forceinline__ void merge(Rows<kHeadDim>& rows, const float* from) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float other = from[half * 32];
    const float most = fmaxf(rows.most[half], other);
    const float origin = most == -INFINITY ? 0.0F : most;
    const float mine = exponential(rows.most[half] - origin);
    const float theirs = exponential(other - origin);
    rows.most[half] = most;
    rows.sum[half] = rows.sum[half] * mine + from[(2 + half) * 32] * theirs;
#pragma unroll
    for (int d = 0; d < kHeadDim / 8; ++d) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        rows.out[d][i] = rows.out[d][i] * mine + from[(4 + 4 * d + i) * 32] * theirs;
      }
    }
  }
}

template <int kHeadDim>
__device__ __forceinline__ void store_rows(const Rows<kHeadDim>& rows, __nv_bfloat16* out,
                                           int stride, int first_query, int queries) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = rows.sum[half];
    sum += __shfl_xor_sync(0xFFFFFFFFU, sum, 1);
    sum += __shfl_xor_sync(0xFFFFFFFFU, sum, 2);
    const int query = first_query + lane / 4 + 8 * half;
    if (query < queries) {
      const float scale = 1.0F / sum;
      __nv_bfloat16* to = out + static_cast<int64_t>(query) * stride + 2 * (lane % 4);
#pragma unroll
      for (int d = 0; d < kHeadDim / 8; ++d) {
        *reinterpret_cast<uint32_t*>(to + 8 * d) =
            bf16_pair(rows.out[d][2 * half] * scale, rows.out[d][2 * half + 1] * scale);
      }
    }
  }
}

template <int kHeadDim, int kRowWarps, int kKeyParts>
__global__ void __launch_bounds__(32 * kRowWarps * kKeyParts,
                                  kHeadDim == 128  ? 1
                                  : kRowWarps == 6 ? 1
                                                   : 512 / (32 * kRowWarps * kKeyParts))
    attention_bf16(const __grid_constant__ AttentionOperands o) {
  constexpr int kPartThreads = 32 * kRowWarps;
  extern __shared__ __align__(128) uint8_t shared[];
  release_consumers();
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int part = warp / kRowWarps;
  const int head = static_cast<int>(blockIdx.y);
  const int segment = static_cast<int>(blockIdx.z);
  // Late queries see most keys: they start first.
  const int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const int first_query = tile * 16 * kRowWarps + warp % kRowWarps * 16;
  const __nv_bfloat16* k =
      o.k + static_cast<int64_t>(segment) * o.keys * o.k_stride + head / o.group * kHeadDim;
  const __nv_bfloat16* v =
      o.v + static_cast<int64_t>(segment) * o.keys * o.v_stride + head / o.group * kHeadDim;
  const int seen = o.is_causal != 0 ? min(o.keys, (tile + 1) * 16 * kRowWarps) : o.keys;
  const int blocks = (seen + kKeys - 1) / kKeys;
  const int mine = (blocks - part + kKeyParts - 1) / kKeyParts;  // blocks of this part
  const int rounds = (blocks + kKeyParts - 1) / kKeyParts;
  const uint32_t ring = mma::shared_address(shared) +
                        static_cast<uint32_t>(part * kStages * stage_elements(kHeadDim) * 2);
  const int thread = static_cast<int>(threadIdx.x) % kPartThreads;
  const auto copy = [&](int block) {
    if (block < mine) {
      copy_keys<kHeadDim, kPartThreads>(
          ring + static_cast<uint32_t>(block % kStages * stage_elements(kHeadDim) * 2), k,
          o.k_stride, v, o.v_stride, (block * kKeyParts + part) * kKeys, o.keys, o.k, thread);
    }
    mma::copy_commit();
  };
  wait_for_producers();
  copy(0);
  uint32_t q[kHeadDim / 8][2];
  load_queries<kHeadDim>(
      q, o.q + static_cast<int64_t>(segment) * o.queries * o.q_stride + head * kHeadDim, o.q_stride,
      first_query, o.queries);
  Rows<kHeadDim> rows{};
  rows.most[0] = rows.most[1] = -INFINITY;
  for (int block = 0; block < rounds; ++block) {
    copy(block + 1);
    mma::copy_wait<1>();
    __syncthreads();
    if (block < mine) {
      const uint32_t stage =
          ring + static_cast<uint32_t>(block % kStages * stage_elements(kHeadDim) * 2);
      const int first_key = (block * kKeyParts + part) * kKeys;
      float scores[8][4];
      score<kHeadDim>(scores, q, stage);
      const bool is_edge =
          first_key + kKeys > o.keys || (o.is_causal != 0 && first_key + kKeys - 1 > first_query);
      take_numerators(rows, scores, o, first_key, first_query, is_edge);
      add_values(rows, scores, stage + static_cast<uint32_t>(kKeys * row_elements(kHeadDim) * 2));
    }
    __syncthreads();
  }
  if constexpr (kKeyParts > 1) {
    constexpr int kFloats = (4 + kHeadDim / 2) * 32;  // of a warp
    auto* others = reinterpret_cast<float*>(shared) + threadIdx.x % 32;
    mma::copy_wait<0>();
    __syncthreads();
    if (part > 0) {
      publish(rows, others + (warp - kRowWarps) * kFloats);
    }
    __syncthreads();
    if (part > 0) {
      return;
    }
#pragma unroll
    for (int i = 1; i < kKeyParts; ++i) {
      merge(rows, others + (warp + (i - 1) * kRowWarps) * kFloats);
    }
  }
  store_rows(rows,
             o.out + static_cast<int64_t>(segment) * o.queries * o.out_stride + head * kHeadDim,
             o.out_stride, first_query, o.queries);
}

using AttentionKernel = void (*)(AttentionOperands);

template <int kHeadDim>
AttentionKernel kernel_of(const AttentionTile& tile) {
  switch (tile.row_warps * 10 + tile.key_parts) {
    case 11:
      return attention_bf16<kHeadDim, 1, 1>;
    case 12:
      return attention_bf16<kHeadDim, 1, 2>;
    case 14:
      return attention_bf16<kHeadDim, 1, 4>;
    case 21:
      return attention_bf16<kHeadDim, 2, 1>;
    case 22:
      return attention_bf16<kHeadDim, 2, 2>;
    case 31:
      return attention_bf16<kHeadDim, 3, 1>;
    case 32:
      return attention_bf16<kHeadDim, 3, 2>;
    case 41:
      return attention_bf16<kHeadDim, 4, 1>;
    case 42:
      return attention_bf16<kHeadDim, 4, 2>;
    case 61:
      return attention_bf16<kHeadDim, 6, 1>;
    case 62:
      return attention_bf16<kHeadDim, 6, 2>;
    default:
      return nullptr;
  }
}

AttentionKernel kernel_of(const AttentionArgs& args, const AttentionTile& tile) {
  switch (args.head_dim) {
    case 48:
      return kernel_of<48>(tile);
    case 72:
      return kernel_of<72>(tile);
    case 128:
      return kernel_of<128>(tile);
    default:
      return nullptr;
  }
}

}  // namespace

Status prepare_attention(const AttentionArgs& args, const AttentionTile& tile) {
  const AttentionKernel kernel = kernel_of(args, tile);
  if (kernel == nullptr || (args.head_dim == 128 && tile.key_parts > 2)) {
    return Status(Code::kInternal, "no attention kernel of " + std::to_string(tile.row_warps) +
                                       " row warps and " + std::to_string(tile.key_parts) +
                                       " key parts");
  }
  return prepare_kernel(kernel, "attention_bf16",
                        shared_bytes(static_cast<int>(args.head_dim), tile.key_parts));
}

Status enqueue_attention(const AttentionArgs& args, const AttentionTile& tile, Stream stream) {
  const AttentionOperands o{.queries = static_cast<int>(args.queries),
                            .keys = static_cast<int>(args.keys),
                            .group = static_cast<int>(args.heads / args.kv_heads),
                            .is_causal = args.is_causal ? 1 : 0,
                            .scale = args.scale * kLog2E,
                            .q = static_cast<const __nv_bfloat16*>(args.q),
                            .k = static_cast<const __nv_bfloat16*>(args.k),
                            .v = static_cast<const __nv_bfloat16*>(args.v),
                            .out = static_cast<__nv_bfloat16*>(args.out),
                            .q_stride = static_cast<int>(args.q_stride),
                            .k_stride = static_cast<int>(args.k_stride),
                            .v_stride = static_cast<int>(args.v_stride),
                            .out_stride = static_cast<int>(args.out_stride)};
  const int64_t rows = 16 * tile.row_warps;
  return launch(
      kernel_of(args, tile), "attention_bf16",
      {.grid = dim3(static_cast<unsigned>((args.queries + rows - 1) / rows),
                    static_cast<unsigned>(args.heads), static_cast<unsigned>(args.segments)),
       .block = dim3(static_cast<unsigned>(32 * tile.row_warps * tile.key_parts)),
       .shared_bytes = shared_bytes(static_cast<int>(args.head_dim), tile.key_parts),
       .is_dependent = args.is_dependent},
      stream, o);
}

}  // namespace sinew::cuda
