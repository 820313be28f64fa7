// What all phases of dit_stack_kernel.cuh share: a CTA's place, its shared memory, the ring, the
// products, and the residual tile.
#pragma once

#include "kernels/cuda/fused/dit_stack.h"
#include "kernels/cuda/fused/dit_stack_device.cuh"

namespace sinew::cuda::dit {

constexpr int kConsumerWarps = 12;
constexpr int kConsumers = 32 * kConsumerWarps;
constexpr int kThreads = kConsumers + 128;  // the producer's warpgroup gives its registers away

// Core matrices of activations are a row's 16 bytes apart from the next column's by 144, not 128:
// neighbouring lanes then write to different banks.
constexpr int kAlongK = 144;
constexpr int kSliceTileBytes = kSlice / 8 * kAlongK;
constexpr int kQueryRowBytes = 112;
constexpr int kMergeRow = kHeadDim + 4;  // floats
constexpr int kVectorBytes = kVectorFloats * 4;
constexpr float kSoftmaxScale = 0.14433756729740643F * 1.4426950408889634F;  // 48^-1/2, log2 e

template <int kTiles>
struct Shared {
  static constexpr int kTokens = 8 * kTiles;
  static constexpr int kQueries = (kTokens / kRanks + 7) / 8 * 8;  // of a CTA, in whole tiles
  static constexpr int kSelfChunks = (kTokens + kChunkKeys - 1) / kChunkKeys;
  static constexpr int kMergeBytes = kQueries * kMergeRow * 4;  // of a warp's chunks
  static constexpr int kSlots = ring_stages(kTiles);
  // B operand of all products. Between products: what warps merge and, behind that, keys and values
  // of self blocks, in chunks.
  static constexpr int kInput = kSlots * kStageBytes;
  static constexpr int kKeyValue = kInput + kSelfChunks * kMergeBytes;
  static constexpr int kQuery = kInput + kTiles * kSliceTileBytes;  // [queries][48 + pad]
  static constexpr int kVectors = kQuery + kQueries * kQueryRowBytes;
  static constexpr int kStats = kVectors + 2 * kVectorBytes;  // [2][tokens] float2
  static constexpr int kMaxSum = kStats + 2 * kTokens * 8;    // [warp][queries] float2
  static constexpr int kBarriers = kMaxSum + kConsumerWarps * kQueries * 8;
  static constexpr int kBytes = kBarriers + (2 * kSlots + 4) * 8;
  static_assert(kConsumerWarps * kMergeBytes <= kTiles * kSliceTileBytes, "merges in kInput");
  static_assert(kKeyValue + kSelfChunks * kChunkBytes <= kQuery, "keys and values behind merges");
  static_assert(kBytes <= kSharedBytes);
};

#ifdef SINEW_DIT_PROFILE
__device__ long long g_profile[32];
#define DIT_MARK(c, i) (c).mark(i)
#else
#define DIT_MARK(c, i)
#endif

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

template <int kTiles>
struct Cta {
  using S = Shared<kTiles>;
  static constexpr int kTokens = S::kTokens;
  static constexpr int kSlots = S::kSlots;
  static constexpr Workspace kSpace = workspace(kTiles);

  const StackArguments& a;
  std::byte* shared;
  uint32_t base;  // of shared, in its own address space
  int tid, warp, lane, cta, j, r, tokens;
  int owned;           // tokens r, r + 4, ...
  uint32_t stage;      // of the ring, running
  uint32_t last_copy;  // when the producer last asked for weights
  float4 residual;     // rows 48 j + 4 (tid % 16) .. + 3 of token r + 4 (tid / 16)
#ifdef SINEW_DIT_PROFILE
  long long last;

  __device__ void mark(int i) {
    if (tid == 0 && cta == 5) {
      const long long now = clock64();
      g_profile[i] += now - last;
      last = now;
    }
  }
#endif

  __device__ uint32_t full(uint32_t s) const {
    return base + S::kBarriers + (s % kSlots) * 16;
  }

  __device__ uint32_t empty(uint32_t s) const {
    return full(s) + 8;
  }

  __device__ uint32_t slot(uint32_t s) const {
    return base + (s % kSlots) * kStageBytes;
  }

  __device__ static uint32_t turn(uint32_t s) {
    return s / kSlots % 2;
  }

  __device__ uint32_t vectors_full(int block) const {
    return base + S::kBarriers + kSlots * 16 + (block % 2) * 16;
  }

  __device__ uint32_t vectors_empty(int block) const {
    return vectors_full(block) + 8;
  }

  __device__ const float* vectors(int block) const {
    return reinterpret_cast<const float*>(shared + S::kVectors + (block % 2) * kVectorBytes);
  }

  // of the norm before attention (0) and before the feed-forward part (1)
  __device__ float2* stats(int norm) const {
    return reinterpret_cast<float2*>(shared + S::kStats) + norm * kTokens;
  }

  __device__ static void sync() {
    consumers_sync<kConsumers>();
  }

  // Buffer of the exchange at `offset` for this block, `half_bytes` apart from the other block's.
  __device__ std::byte* buffer(size_t offset, int block, size_t half_bytes) const {
    return a.workspace + offset + (block & 1) * half_bytes;
  }

  // What marks a block's partial sums: never that of the block before, whose they replace.
  __device__ static uint32_t tag_of(int block) {
    return block & 1;
  }

  // Keeps the compiler from computing the addresses of all phases before the loop over blocks, for
  // which there are no registers.
  __device__ void forget() {
    asm volatile("" : "+r"(tid), "+r"(cta));
    warp = __shfl_sync(~0U, tid / 32, 0), lane = tid % 32, j = cta / kRanks, r = cta % kRanks;
  }

  __device__ void release(uint32_t s) const {
    __syncwarp();
    if (lane == 0) {
      barrier_arrive(empty(s));
    }
  }

  // --- [tokens, 384] bf16 from its writers to kInput, ready for wgmma after sync()
  __device__ void take_slice(const std::byte* from) const {
    constexpr int kColumns = kSlice / 8;
    const std::byte* p = from + tid * 16;
    const int row = tid / kColumns;
    uint4 v[kTiles];
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      v[i] = 8 * i + row < tokens ? load16(p + i * 8 * kSlice * 2) : make_uint4(0, 0, 0, 0);
    }
    std::byte* to = shared + S::kInput + tid % kColumns * kAlongK + row * 16;
    await(v, Empty(), [&](int i) { return p + i * 8 * kSlice * 2; });
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      *reinterpret_cast<uint4*>(to + i * kSliceTileBytes) = v[i];
    }
    fence_async();
  }

  // --- statistics: mean and inverse deviation of a token from the parts of 32 groups, a half-warp
  // a token (first, first + step, ...), two parts a lane. Asked for while a product runs (they come
  // later than x does), finished when its sums have been sent.
  template <int kRounds>
  struct StatsParts {
    const std::byte* from;  // parts of this lane
    int first, step;        // tokens of this half-warp
    uint4 part[kRounds];
  };

  template <int kRounds>
  __device__ StatsParts<kRounds> stats_parts(const std::byte* from, int first, int step) const {
    return {from + tid % 16 * 16, first + step * (tid / 16), step * (kConsumers / 16), {}};
  }

  template <int kRounds>
  __device__ void ask_stats(StatsParts<kRounds>& q) const {
#pragma unroll
    for (int i = 0; i < kRounds; ++i) {
      if (q.first + i * q.step < tokens) {
        q.part[i] = load16(q.from + (q.first + i * q.step) * kHeads * 8);
      }
    }
  }

  template <int kRounds>
  __device__ void take_stats(StatsParts<kRounds>& q, float2* to) const {
    await(q.part, Empty(), [&](int i) { return q.from + (q.first + i * q.step) * kHeads * 8; });
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kRounds; ++i) {
      const float first = __uint_as_float(q.part[i].x);
      const float second = __uint_as_float(q.part[i].z);
      const float mean = lane_sum<8>(first + second) / kHeads;
      const float off = first - mean;
      const float off2 = second - mean;
      const float square = lane_sum<8>(__uint_as_float(q.part[i].y) + __uint_as_float(q.part[i].w) +
                                       kHeadDim * (off * off + off2 * off2));
      const int s = q.first + i * q.step;
      if (tid % 16 == 0 && s < tokens) {
        to[s] = make_float2(mean, rsqrtf(square / kWidth + a.epsilon));
      }
    }
  }

  // B operand in kInput from this k16 step on.
  __device__ uint64_t input(int first_k16) const {
    return matrix_descriptor(base + S::kInput + first_k16 * 2 * kAlongK, kAlongK, kSliceTileBytes);
  }

  // --- products: A from the ring, B from `columns`
  // Unrolled, with one addition an operand: the chain of address instructions would otherwise take
  // longer than the products. `ask` is called when a few stages are under way.
  template <int kStages, int kPerStage, class Ask>
  __device__ __forceinline__ void issue(float (&acc)[4 * kTiles], uint64_t columns, Ask ask) {
    constexpr uint32_t kTileBytes = kShareBytes / kPerStage;
    const uint64_t rows = matrix_descriptor(base + warp / 4 * kShareBytes, kTileBytes / 2, 128);
    clear(acc);
#pragma unroll
    for (int s = 0; s < kStages; ++s) {
      barrier_wait(full(stage + s), turn(stage + s));
      __syncwarp();
      const uint64_t from = advanced(rows, (stage + s) % kSlots * (kStageBytes / 16));
      product_fence();
#pragma unroll
      for (int i = 0; i < kPerStage; ++i) {
        product(acc, advanced(from, i * (kTileBytes / 16)),
                advanced(columns, (s * kPerStage + i) * (2 * kAlongK / 16)));
      }
      product_commit();
      if (s == (kStages > 2 ? 2 : 1)) {
        ask();
      }
      if (s > 1) {
        product_wait<2>();
        release(stage + s - 2);
      }
    }
    stage += kStages;
  }

  __device__ __forceinline__ static void clear(float (&acc)[4 * kTiles]) {
#pragma unroll
    for (int i = 0; i < 4 * kTiles; ++i) {
      acc[i] = 0;
      asm volatile("" : "+f"(acc[i])::"memory");  // before the fence, not between it and wgmma
    }
  }

  __device__ __forceinline__ void settle(float (&acc)[4 * kTiles]) const {
    product_wait<0>();
#pragma unroll
    for (int i = 0; i < 4 * kTiles; ++i) {
      asm volatile("" : "+f"(acc[i])::"memory");
    }
  }

  // A lane's sums: rows 2 g, 2 g + 1 of a 16-row tile, tokens 8 n + 2 t and the next; `address` of
  // one of the first eight tokens, `step` bytes to the token eight further.
  template <class Address>
  __device__ __forceinline__ void send(const float (&acc)[4 * kTiles], uint32_t tag, int step,
                                       Address address) const {
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      const int s = lane % 4 * 2 + odd;
      std::byte* to = address(s) + lane / 4 * 4;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        if (8 * n + s < tokens) {
          store4(to + n * step, pack_partial(acc[4 * n + odd], acc[4 * n + 2 + odd], tag));
        }
      }
    }
  }

  // fp16 [cta][slice][owned token][48], from a product over one slice of the columns: its rows, an
  // eighth of d, go to their owners.
  __device__ __forceinline__ void send_to_owners(const float (&acc)[4 * kTiles], uint32_t tag,
                                                 std::byte* to) const {
    const int tile = kGroupRows / 16 * (cta % kDownGroups) + warp;
    const int source = tile / 3 * kRanks * kDownSlices + cta / kDownGroups;
    std::byte* rows = to + (source * (kTokens / 4) * kHeadDim + tile % 3 * 16) * 2;
    constexpr int kOwnerStep = kDownSlices * (kTokens / 4) * kHeadDim * 2;
    send(acc, tag, 2 * kHeadDim * 2,
         [&](int s) { return rows + s % kRanks * kOwnerStep + s / kRanks * (kHeadDim * 2); });
  }

  // --- the residual tile: adds the slices' sums, hands the result on
  __device__ void add_sources(const std::byte* from, uint32_t tag, const float* bias) {
    const int row = tid % 16 * 4;
    const std::byte* p =
        from + ((cta * kDownSlices * (kTokens / 4) + tid / 16) * kHeadDim + row) * 2;
    constexpr size_t kStep = kTokens / 4 * kHeadDim * 2;
    uint2 v[kDownSlices];
#pragma unroll
    for (int i = 0; i < kDownSlices; ++i) {
      v[i] = load8(p + i * kStep);
    }
    await(v, Older{tag}, [&](int i) { return p + i * kStep; });
    float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < kDownSlices; ++i) {
      add_partial(sum, v[i]);
    }
    const float4 b = *reinterpret_cast<const float4*>(bias + row);
    residual.x += sum.x / kPartialScale + b.x, residual.y += sum.y / kPartialScale + b.y;
    residual.z += sum.z / kPartialScale + b.z, residual.w += sum.w / kPartialScale + b.w;
  }

  __device__ bool owns_tile() const {
    return tid / 16 < owned && tid % 16 < 12;
  }

  // x (1 + scale) in bf16 and the statistics of x over 48 rows.
  __device__ void publish(size_t x_offset, size_t stats_offset, int block, const float* scale) {
    constexpr size_t kXHalf = kTokens * kWidth * 2;
    constexpr size_t kStatsHalf = kTokens * kHeads * 8;
    const int s = r + kRanks * (tid / 16);
    const int row = tid % 16 * 4;
    const bool mine = owns_tile();
    const size_t x_at = ((j / 8 * kTokens + s) * kSlice + j % 8 * kHeadDim + row) * 2;
    const size_t stats_at = (s * kHeads + j) * 8;
    if (mine) {
      const float4 g = scale != nullptr ? *reinterpret_cast<const float4*>(scale + row)
                                        : make_float4(1, 1, 1, 1);
      store8(buffer(x_offset, block, kXHalf) + x_at,
             make_uint2(pack_bf16(residual.x * g.x, residual.y * g.y),
                        pack_bf16(residual.z * g.z, residual.w * g.w)));
    }
    const float4 x = mine ? residual : make_float4(0, 0, 0, 0);
    const float mean = lane_sum<8>(x.x + x.y + x.z + x.w) / kHeadDim;
    const float4 o = make_float4(x.x - mean, x.y - mean, x.z - mean, x.w - mean);
    const float square = lane_sum<8>(mine ? o.x * o.x + o.y * o.y + o.z * o.z + o.w * o.w : 0.F);
    if (mine && row == 0) {
      store8(buffer(stats_offset, block, kStatsHalf) + stats_at,
             make_uint2(__float_as_uint(mean), __float_as_uint(square)));
      store8(buffer(stats_offset, block + 1, kStatsHalf) + stats_at, make_uint2(kEmpty, kEmpty));
    }
    if (mine) {
      store8(buffer(x_offset, block + 1, kXHalf) + x_at, make_uint2(kEmpty, kEmpty));
    }
  }

  // --- attention (dit_stack_attention.cuh)
  __device__ uint4 finish_norm(const float (&sum)[8], int s, const float* vector, int column,
                               float scale) const;
  template <int kCount>
  __device__ static void sum_partials(float (&sum)[8], uint4 (&v)[kCount], uint32_t tag,
                                      const std::byte* const (&p)[kCount]);
  // fp16 [rank][token][3][48]: 16-byte items of all ranks, those of a rank kRankItems apart.
  static constexpr int kRankItems = kTokens * 18;
  __device__ void take_self(const std::byte* from, uint32_t tag, const float* vector) const;
  __device__ void take_cross(const std::byte* from, uint32_t tag, const float* vector) const;
  template <bool kCross>
  __device__ void attend_chunks(int keys);
  static constexpr int kOwn = S::kQueries / 8;  // tiles of queries
  __device__ void store_chunks(const float (&out)[kOwn][3][4], const float (&top)[kOwn][2],
                               const float (&sum)[kOwn][2]) const;
  __device__ void merge_chunks(int keys, int block) const;
  __device__ void take_attended(const std::byte* from) const;
  template <bool kCross>
  __device__ void attend(int block);
  __device__ void out(int block);

  // --- feed forward, the loop over blocks, the producer (dit_stack_kernel.cuh)
  __device__ void finish_up(const std::byte* from, int block) const;
  __device__ void up(int block);
  __device__ void down(int block);
  __device__ float4* residual_at(float* x) const;
  __device__ void consume();
  __device__ void fetch(const std::byte* from, uint64_t policy);
  __device__ void fetch_vectors(int block);
  __device__ void produce();
};

#endif  // sm_90a

}  // namespace sinew::cuda::dit
