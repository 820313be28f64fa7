// The kernel of dit_stack.h. Per block and CTA:
//   attend  x -> q (k, v) of head j over a quarter of the columns; the four CTAs of the group swap
//           partial sums and each computes the head's attention whole; out rows of quarter r over
//           the head's 48 columns; the owner of a residual tile sums the 32 heads
//   up      x -> 192 hidden rows over a quarter of the columns; four CTAs swap partial sums
//   down    hidden slice -> 192 rows; the owner of a residual tile sums the 16 slices
// CTA (j, r) owns the residual of rows 48 j .. 48 j + 47 of tokens r, r + 4, ...: f32 in registers.
//
// There is no grid barrier. Every exchanged word is its own flag: buffers hold kEmpty until the
// value is written, readers load until it is there. Each buffer exists twice and blocks alternate.
// A buffer with one reader is emptied by it; one with several by its writer a block later, when
// what the writer has received proves that every CTA is past reading it (any output of a block
// depends on all CTAs' outputs of the block before). Between a word's emptying and its next use
// lies one whole block. All sums have a fixed order: results do not depend on timing.
//
// A producer thread streams weights, packed keys and values, and vectors through a ring in shared
// memory without regard to any of this, so that memory works while CTAs wait for each other.
#pragma once

#include "kernels/cuda/fused/dit_stack.h"
#include "kernels/cuda/fused/dit_stack_device.cuh"

namespace sinew::cuda::dit {

constexpr int kConsumerWarps = 12;
constexpr int kConsumers = 32 * kConsumerWarps;
constexpr int kThreads = kConsumers + 128;  // the producer's warpgroup gives its registers away
constexpr int kSlots = 8;

// Core matrices of activations are a row's 16 bytes apart from the next column's by 144, not 128:
// neighbouring lanes then write to different banks.
constexpr int kAlongK = 144;
constexpr int kSliceTileBytes = kSlice / 8 * kAlongK;
constexpr int kHeadTileBytes = kHeadDim / 8 * kAlongK;
constexpr int kQueryRowBytes = 112;
constexpr int kMergeRow = kHeadDim + 4;  // floats
constexpr int kVectorBytes = kVectorFloats * 4;
constexpr float kSoftmaxScale = 0.14433756729740643F * 1.4426950408889634F;  // 48^-1/2, log2 e

template <int kTiles>
struct Shared {
  static constexpr int kTokens = 8 * kTiles;
  static constexpr int kInput = kSlots * kStageBytes;                     // B operand of a slice
  static constexpr int kAttended = kInput + kTiles * kSliceTileBytes;     // B operand of `out`
  static constexpr int kQuery = kAttended + kTiles * kHeadTileBytes;      // [tokens][48 + pad]
  static constexpr int kKeyValue = kQuery + kTokens * kQueryRowBytes;     // chunks of self blocks
  static constexpr int kVectors = kKeyValue + (kTokens + 15) / 16 * kChunkBytes;
  static constexpr int kStats = kVectors + 2 * kVectorBytes;              // [2][tokens] float2
  static constexpr int kMaxSum = kStats + 2 * kTokens * 8;                    // [4][tokens] float2
  static constexpr int kBarriers = kMaxSum + 4 * kTokens * 8;
  static constexpr int kBytes = kBarriers + (2 * kSlots + 4) * 8;
  static_assert(4 * kTokens * kMergeRow * 4 <= kTiles * kSliceTileBytes, "merge area is kInput");
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
  static constexpr Workspace kSpace = workspace(kTiles);

  const StackArguments& a;
  std::byte* shared;
  uint32_t base;  // of shared, in its own address space
  int tid, warp, lane, cta, j, r, tokens;
  int owned;        // tokens r, r + 4, ...
  uint32_t stage;   // of the ring, running
  uint32_t last_copy;  // when the producer last asked for weights
  float4 residual;  // rows 48 j + 4 (tid % 16) .. + 3 of token r + 4 (tid / 16)
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

  __device__ uint32_t full(uint32_t s) const { return base + S::kBarriers + (s % kSlots) * 16; }
  __device__ uint32_t empty(uint32_t s) const { return full(s) + 8; }
  __device__ uint32_t slot(uint32_t s) const { return base + (s % kSlots) * kStageBytes; }
  __device__ static uint32_t turn(uint32_t s) { return s / kSlots % 2; }
  __device__ uint32_t vectors_full(int block) const {
    return base + S::kBarriers + kSlots * 16 + (block % 2) * 16;
  }
  __device__ uint32_t vectors_empty(int block) const { return vectors_full(block) + 8; }
  __device__ const float* vectors(int block) const {
    return reinterpret_cast<const float*>(shared + S::kVectors + (block % 2) * kVectorBytes);
  }
  // of the norm before attention (0) and before the feed-forward part (1)
  __device__ float2* stats(int norm) const {
    return reinterpret_cast<float2*>(shared + S::kStats) + norm * kTokens;
  }
  __device__ static void sync() { consumers_sync<kConsumers>(); }

  // Buffer of the exchange at `offset` for this block, `half_bytes` apart from the other block's.
  __device__ std::byte* buffer(size_t offset, int block, size_t half_bytes) const {
    return a.workspace + offset + (block & 1) * half_bytes;
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
    await(v, [&](int i) { return p + i * 8 * kSlice * 2; });
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      *reinterpret_cast<uint4*>(to + i * kSliceTileBytes) = v[i];
    }
    fence_async();
  }

  // --- statistics, by the three warps beside the producer: mean and inverse deviation of tokens
  // first, first + step, ... from the 32 groups' parts, while the others multiply
  __device__ void take_stats(const std::byte* from, int first, int step, float2* to) const {
    constexpr int kBatch = 6;
    from += lane * 8;
#pragma unroll 1
    for (int i = first + step * (warp - kConsumerWarps - 1); i < tokens; i += step * 3 * kBatch) {
      uint2 part[kBatch] = {};
      const auto address = [&](int n) { return from + (i + 3 * step * n) * kHeads * 8; };
#pragma unroll
      for (int n = 0; n < kBatch; ++n) {
        if (i + 3 * step * n < tokens) {
          part[n] = load8(address(n));
        }
      }
      await(part, address);
#pragma unroll
      for (int n = 0; n < kBatch; ++n) {
        const float mine = __uint_as_float(part[n].x);
        const float mean = lane_sum<16>(mine) / kHeads;
        const float off = mine - mean;
        const float square = lane_sum<16>(__uint_as_float(part[n].y) + kHeadDim * off * off);
        const int s = i + 3 * step * n;
        if (lane == 0 && s < tokens) {
          to[s] = make_float2(mean, rsqrtf(square / kWidth + a.epsilon));
        }
      }
    }
    asm volatile("bar.arrive 2, %0;" ::"n"(kConsumers + 96) : "memory");
  }

  __device__ void measure() const {
    constexpr size_t kHalf = kTokens * kHeads * 8;
#pragma unroll 1
    for (int block = 0; block < a.blocks; ++block) {
      take_stats(buffer(kSpace.stats_attend, block - 1, kHalf), 0, 1, stats(0));
      take_stats(buffer(kSpace.stats_feed, block, kHalf), r, kRanks, stats(1));
    }
  }

  // sync(), and the statistics are there
  __device__ static void sync_with_stats() {
    asm volatile("bar.sync 2, %0;" ::"n"(kConsumers + 96) : "memory");
  }

  // --- products: A from the ring, B from kInput; k16 steps first_k16 ...
  // Unrolled, with one addition an operand: the chain of address instructions would otherwise take
  // longer than the products.
  template <int kStages, int kPerStage>
  __device__ void issue(float (&acc)[4 * kTiles], int first_k16) {
    constexpr uint32_t kTileBytes = kShareBytes / kPerStage;
    const uint64_t rows = matrix_descriptor(base + warp / 4 * kShareBytes, kTileBytes / 2, 128);
    const uint64_t columns = matrix_descriptor(base + S::kInput + first_k16 * 2 * kAlongK, kAlongK,
                                               kSliceTileBytes);
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
      if (s > 1) {
        product_wait<2>();
        release(stage + s - 2);
      }
    }
    stage += kStages;
  }

  __device__ static void clear(float (&acc)[4 * kTiles]) {
#pragma unroll
    for (float& v : acc) {
      v = 0;
      asm volatile("" : "+f"(v)::"memory");  // before the fence, not between it and wgmma
    }
  }

  __device__ void settle(float (&acc)[4 * kTiles]) const {
    product_wait<0>();
#pragma unroll
    for (float& v : acc) {
      asm volatile("" : "+f"(v)::"memory");
    }
  }

  // A lane's sums: rows 2 g, 2 g + 1 of a 16-row tile, tokens 8 n + 2 t and the next; `address` of
  // one of the first eight tokens, `step` bytes to the token eight further.
  template <class Address>
  __device__ void send(const float (&acc)[4 * kTiles], int step, Address address) const {
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      const int s = lane % 4 * 2 + odd;
      std::byte* to = address(s) + lane / 4 * 4;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        if (8 * n + s < tokens) {
          store4(to + n * step, pack_partial(acc[4 * n + odd], acc[4 * n + 2 + odd]));
        }
      }
    }
  }

  // fp16 [cta][source][owned token][48] of `sources` at `offset`: rows of 16-row tile `tile` of d
  // go to their owners.
  __device__ void send_to_owners(const float (&acc)[4 * kTiles], std::byte* to, int sources,
                                 int source, int tile) const {
    const int group = tile / 3;
    std::byte* rows = to + ((group * kRanks * sources + source) * (kTokens / 4) * kHeadDim +
                            tile % 3 * 16) * 2;
    const int owner_step = sources * (kTokens / 4) * kHeadDim * 2;
    send(acc, 2 * kHeadDim * 2, [&](int s) {
      return rows + s % kRanks * owner_step + s / kRanks * (kHeadDim * 2);
    });
  }

  // --- the residual tile: adds the sources' sums, hands the result on
  template <int kSources>
  __device__ void add_sources(std::byte* from, const float* bias) {
    const int row = tid % 16 * 4;
    std::byte* p = from + ((cta * kSources * (kTokens / 4) + tid / 16) * kHeadDim + row) * 2;
    constexpr size_t kStep = kTokens / 4 * kHeadDim * 2;
    uint2 v[kSources];
#pragma unroll
    for (int i = 0; i < kSources; ++i) {
      v[i] = load8(p + i * kStep);
    }
    await(v, [&](int i) { return p + i * kStep; });
    float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < kSources; ++i) {
      add_partial(sum, v[i]);
    }
#pragma unroll
    for (int i = 0; i < kSources; ++i) {
      store8(p + i * kStep, make_uint2(kEmpty, kEmpty));
    }
    const float4 b = *reinterpret_cast<const float4*>(bias + row);
    residual.x += sum.x / kPartialScale + b.x, residual.y += sum.y / kPartialScale + b.y;
    residual.z += sum.z / kPartialScale + b.z, residual.w += sum.w / kPartialScale + b.w;
  }

  __device__ bool owns_tile() const { return tid / 16 < owned && tid % 16 < 12; }

  // x (1 + scale) in bf16 and the statistics of x over 48 rows.
  __device__ void publish(size_t x_offset, size_t stats_offset, int block, const float* scale) {
    const int s = r + kRanks * (tid / 16);
    const int row = tid % 16 * 4;
    const bool mine = owns_tile();
    if (mine) {
      const float4 g = scale != nullptr ? *reinterpret_cast<const float4*>(scale + row)
                                        : make_float4(1, 1, 1, 1);
      const size_t at = ((j / 8 * kTokens + s) * kSlice + j % 8 * kHeadDim + row) * 2;
      constexpr size_t kHalf = kTokens * kWidth * 2;
      store8(buffer(x_offset, block, kHalf) + at,
             make_uint2(pack_bf16(residual.x * g.x, residual.y * g.y),
                        pack_bf16(residual.z * g.z, residual.w * g.w)));
      store8(buffer(x_offset, block + 1, kHalf) + at, make_uint2(kEmpty, kEmpty));
    }
    const float4 x = mine ? residual : make_float4(0, 0, 0, 0);
    const float mean = lane_sum<8>(x.x + x.y + x.z + x.w) / kHeadDim;
    const float4 o = make_float4(x.x - mean, x.y - mean, x.z - mean, x.w - mean);
    const float square =
        lane_sum<8>(mine ? o.x * o.x + o.y * o.y + o.z * o.z + o.w * o.w : 0.F);
    if (mine && row == 0) {
      const size_t at = (s * kHeads + j) * 8;
      constexpr size_t kHalf = kTokens * kHeads * 8;
      store8(buffer(stats_offset, block, kHalf) + at,
             make_uint2(__float_as_uint(mean), __float_as_uint(square)));
      store8(buffer(stats_offset, block + 1, kHalf) + at, make_uint2(kEmpty, kEmpty));
    }
  }

  // --- attention
  // q, k or v of eight dimensions `column` .. of token s, from their summed products.
  __device__ uint4 finish_norm(const float (&sum)[8], int s, const float* vector, int column,
                               float scale) const {
    const float2 m = stats(0)[s];
    uint32_t out[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 gain = *reinterpret_cast<const float2*>(vector + kQkvGain + column + 2 * i);
      const float2 offset = *reinterpret_cast<const float2*>(vector + kQkvOffset + column + 2 * i);
      out[i] = pack_bf16((m.y * (sum[2 * i] - m.x * gain.x) + offset.x) * scale,
                         (m.y * (sum[2 * i + 1] - m.x * gain.y) + offset.y) * scale);
    }
    return make_uint4(out[0], out[1], out[2], out[3]);
  }

  template <int kCount>
  __device__ static void sum_partials(float (&sum)[8], uint4 (&v)[kCount],
                                      const std::byte* const (&p)[kCount]) {
    await(v, [&](int i) { return p[i]; });
#pragma unroll
    for (float& x : sum) {
      x = 0;
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const uint32_t words[4] = {v[i].x, v[i].y, v[i].z, v[i].w};
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float2 h = unpack_half(words[e]);
        sum[2 * e] += h.x, sum[2 * e + 1] += h.y;
      }
    }
#pragma unroll
    for (float& x : sum) {
      x *= 1 / kPartialScale;
    }
  }

  // fp16 [rank][token][3][48]: 16-byte items of all ranks, those of a rank kRankItems apart.
  static constexpr int kRankItems = kTokens * 18;

  __device__ void take_self(const std::byte* from, const float* vector) const {
    constexpr int kRounds = (kRankItems + kConsumers - 1) / kConsumers;
#pragma unroll
    for (int i = 0; i < kRounds; ++i) {
      const int e = tid + i * kConsumers;
      if (e >= tokens * 18) {
        break;
      }
      const std::byte* p[kRanks];
      uint4 v[kRanks];
#pragma unroll
      for (int q = 0; q < kRanks; ++q) {
        p[q] = from + (q * kRankItems + e) * 16;
        v[q] = load16(p[q]);
      }
      float sum[8];
      sum_partials(sum, v, p);
      const int s = e / 18;
      const int part = e % 18 / 6;
      const int column = e % 6 * 8;
      const uint4 out = finish_norm(sum, s, vector, part * kHeadDim + column,
                                    part == 0 ? kSoftmaxScale : 1.F);
      std::byte* to = part == 0 ? shared + S::kQuery + s * kQueryRowBytes
                                : shared + S::kKeyValue + s / 16 * kChunkBytes +
                                      (part - 1) * (kChunkBytes / 2) + s % 16 * (kHeadDim * 2);
      *reinterpret_cast<uint4*>(to + column * 2) = out;
    }
  }

  __device__ void take_cross(const std::byte* from, const float* vector) const {
    const int s = tid / 6;
    const int column = tid % 6 * 8;
    if (s >= tokens) {
      return;
    }
    const std::byte* p[3 * kRanks];
    uint4 v[3 * kRanks];
#pragma unroll
    for (int q = 0; q < 3 * kRanks; ++q) {
      p[q] = from + (q / 3 * kRankItems + s * 18 + q % 3 * 6 + tid % 6) * 16;
      v[q] = load16(p[q]);
    }
    float sum[8];
    sum_partials(sum, v, p);
    *reinterpret_cast<uint4*>(shared + S::kQuery + s * kQueryRowBytes + column * 2) =
        finish_norm(sum, s, vector, column, kSoftmaxScale);
  }

  // Warp w: token tiles w / 4, w / 4 + 3, ..., key chunks w % 4, w % 4 + 4, ... Partial results and
  // their maxima and sums of exponentials to shared memory.
  template <bool kCross>
  __device__ void attend_chunks(int keys) {
    constexpr int kOwn = (kTiles + 2) / 3;
    const int row = lane % 8;
    const int which = lane / 8;
    uint32_t q[kOwn][8];
#pragma unroll
    for (int n = 0; n < kOwn; ++n) {
      const int tile = min(warp / 4 + 3 * n, kTiles - 1);
      const uint32_t at = base + S::kQuery + (8 * tile + row) * kQueryRowBytes;
      uint32_t low[4];
      uint32_t high[4];
      load_matrices(low, at + which * 16);
      load_matrices(high, at + (4 + which % 2) * 16);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        q[n][i] = low[i], q[n][4 + i] = high[i];
      }
    }
    float out[kOwn][3][4] = {};
    float top[kOwn][2];
    float sum[kOwn][2] = {};
#pragma unroll
    for (int n = 0; n < kOwn; ++n) {
      top[n][0] = top[n][1] = -INFINITY;
    }
    const int chunks = context_chunks(keys);
#pragma unroll 1
    for (int c = warp % 4; c < chunks; c += 4) {
      uint32_t at = base + S::kKeyValue + c * kChunkBytes;
      if (kCross) {
        const uint32_t s = stage + c / kStageChunks;
        barrier_wait(full(s), turn(s));
        __syncwarp();
        at = slot(s) + c % kStageChunks * kChunkBytes;
      }
      uint32_t k[3][4];
      uint32_t v[3][4];
#pragma unroll
      for (int i = 0; i < 3; ++i) {
        load_matrices(k[i], at + (row + which % 2 * 8) * (kHeadDim * 2) + i * 32 + which / 2 * 16);
        load_matrices_transposed(v[i], at + kChunkBytes / 2 +
                                           (row + which / 2 * 8) * (kHeadDim * 2) + i * 32 +
                                           which % 2 * 16);
      }
      const int key = 16 * c + lane / 4;
#pragma unroll
      for (int n = 0; n < kOwn; ++n) {
        float p[4] = {};
#pragma unroll
        for (int i = 0; i < 3; ++i) {
          mma16816(p, k[i], q[n][2 * i], q[n][2 * i + 1]);
        }
        if (key >= keys) {
          p[0] = p[1] = -INFINITY;
        }
        if (key + 8 >= keys) {
          p[2] = p[3] = -INFINITY;
        }
        float keep[2];
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float m = fmaxf(p[e], p[e + 2]);
          m = fmaxf(m, __shfl_xor_sync(~0U, m, 4));
          m = fmaxf(m, __shfl_xor_sync(~0U, m, 8));
          m = fmaxf(m, __shfl_xor_sync(~0U, m, 16));
          m = fmaxf(m, top[n][e]);
          keep[e] = exp2f(top[n][e] - m);
          top[n][e] = m;
          p[e] = exp2f(p[e] - m), p[e + 2] = exp2f(p[e + 2] - m);
          sum[n][e] = sum[n][e] * keep[e] + p[e] + p[e + 2];
        }
        const uint32_t b0 = transpose(pack_bf16(p[0], p[1]));
        const uint32_t b1 = transpose(pack_bf16(p[2], p[3]));
#pragma unroll
        for (int i = 0; i < 3; ++i) {
          out[n][i][0] *= keep[0], out[n][i][1] *= keep[1];
          out[n][i][2] *= keep[0], out[n][i][3] *= keep[1];
          mma16816(out[n][i], v[i], b0, b1);
        }
      }
    }
    if (warp % 4 < chunks) {
      store_chunks(out, top, sum);
    }
    if (kCross) {
      for (int i = 0; i < context_stages(keys); ++i, ++stage) {
        barrier_wait(full(stage), turn(stage));
        release(stage);
      }
    }
  }

  template <int kOwn>
  __device__ void store_chunks(const float (&out)[kOwn][3][4], const float (&top)[kOwn][2],
                               const float (&sum)[kOwn][2]) const {
    float* merge = reinterpret_cast<float*>(shared + S::kInput);
    float2* max_sum = reinterpret_cast<float2*>(shared + S::kMaxSum);
#pragma unroll
    for (int n = 0; n < kOwn; ++n) {
      const int tile = warp / 4 + 3 * n;
      if (tile >= kTiles) {
        break;
      }
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int at = warp % 4 * kTokens + 8 * tile + lane % 4 * 2 + e;
        float total = sum[n][e];
        total += __shfl_xor_sync(~0U, total, 4);
        total += __shfl_xor_sync(~0U, total, 8);
        total += __shfl_xor_sync(~0U, total, 16);
        if (lane < 4) {
          max_sum[at] = make_float2(top[n][e], total);
        }
#pragma unroll
        for (int i = 0; i < 3; ++i) {
          merge[at * kMergeRow + i * 16 + lane / 4] = out[n][i][e];
          merge[at * kMergeRow + i * 16 + lane / 4 + 8] = out[n][i][e + 2];
        }
      }
    }
  }

  __device__ void merge_chunks(int keys) const {
    const int s = tid / 6;
    const int column = tid % 6 * 8;
    if (s < tokens) {
      const float* merge = reinterpret_cast<const float*>(shared + S::kInput);
      const float2* max_sum = reinterpret_cast<const float2*>(shared + S::kMaxSum);
      const int sets = min(4, context_chunks(keys));
      float top = -INFINITY;
      for (int i = 0; i < sets; ++i) {
        top = fmaxf(top, max_sum[i * kTokens + s].x);
      }
      float total = 0;
      float o[8] = {};
      for (int i = 0; i < sets; ++i) {
        const float2 m = max_sum[i * kTokens + s];
        const float weight = exp2f(m.x - top);
        total += weight * m.y;
        const float* part = merge + (i * kTokens + s) * kMergeRow + column;
        const float4 low = *reinterpret_cast<const float4*>(part);
        const float4 high = *reinterpret_cast<const float4*>(part + 4);
        o[0] += weight * low.x, o[1] += weight * low.y, o[2] += weight * low.z;
        o[3] += weight * low.w, o[4] += weight * high.x, o[5] += weight * high.y;
        o[6] += weight * high.z, o[7] += weight * high.w;
      }
      const float scale = 1.F / total;
      *reinterpret_cast<uint4*>(shared + S::kAttended + s / 8 * kHeadTileBytes +
                                tid % 6 * kAlongK + s % 8 * 16) =
          make_uint4(pack_bf16(o[0] * scale, o[1] * scale), pack_bf16(o[2] * scale, o[3] * scale),
                     pack_bf16(o[4] * scale, o[5] * scale), pack_bf16(o[6] * scale, o[7] * scale));
    }
    fence_async();
  }

  __device__ void out_product(std::byte* to) {
    float acc[kOutStages][4 * kTiles];
    clear(acc[0]);
    clear(acc[1]);
    barrier_wait(full(stage), turn(stage));
    barrier_wait(full(stage + 1), turn(stage + 1));
    __syncwarp();
    product_fence();
#pragma unroll
    for (int i = 0; i < kOutStages; ++i) {
      const uint32_t from = slot(stage + i) + warp / 4 * kShareBytes;
#pragma unroll
      for (int k = 0; k < 3; ++k) {
        product(acc[i], matrix_descriptor(from + k * 2048, 1024, 128),
                matrix_descriptor(base + S::kAttended + k * 2 * kAlongK, kAlongK, kHeadTileBytes));
      }
      product_commit();
    }
#pragma unroll
    for (int i = 0; i < kOutStages; ++i) {
      settle(acc[i]);
      release(stage + i);
      send_to_owners(acc[i], to, kHeads, j,
                     (kSlice * r + kGroupRows * i + 64 * (warp / 4)) / 16 + warp % 4);
    }
    stage += kOutStages;
  }

  template <bool kCross>
  __device__ void attend(int block) {
    forget();
    constexpr size_t kXHalf = kTokens * kWidth * 2;
    constexpr size_t kQkvHalf = kHeads * kRanks * kRankItems * 16;
    take_slice(buffer(kSpace.x_attend, block - 1, kXHalf) + r * kTokens * kSlice * 2);
    sync();
    DIT_MARK(*this, 0);
    float acc[4 * kTiles];
    if (kCross) {
      issue<kQueryStages, 4>(acc, warp / 4 * 8);
    } else {
      issue<kQkvStages, 4>(acc, 0);
    }
    settle(acc);
    release(stage - 2);
    release(stage - 1);
    DIT_MARK(*this, 1);
    std::byte* mine = buffer(kSpace.qkv, block, kQkvHalf) + j * kRanks * kRankItems * 16;
    std::byte* other = buffer(kSpace.qkv, block + 1, kQkvHalf) + j * kRanks * kRankItems * 16;
    const int at = r * kRankItems * 16 + (warp / 4 * kHeadDim + warp % 4 * 16) * 2;
    if (warp % 4 < 3) {
      send(acc, 8 * 3 * kHeadDim * 2, [&](int s) { return mine + at + s * 3 * kHeadDim * 2; });
      empty_qkv(other + at);
    }
    sync_with_stats();
    barrier_wait(vectors_full(block), block / 2 % 2);
    if (kCross) {
      take_cross(mine, vectors(block));
    } else {
      take_self(mine, vectors(block));
    }
    sync();
    DIT_MARK(*this, 2);
    const int keys = kCross ? a.context_tokens[block / 2] : tokens;
    attend_chunks<kCross>(keys);
    sync();
    merge_chunks(keys);
    sync();
    DIT_MARK(*this, 3);
    constexpr size_t kOutHalf = size_t{kCtas} * kHeads * (kTokens / 4) * kHeadDim * 2;
    std::byte* out = buffer(kSpace.out, block, kOutHalf);
    out_product(out);
    DIT_MARK(*this, 4);
    if (owns_tile()) {
      add_sources<kHeads>(out, vectors(block) + kOutBias);
    }
    if (warp < kTiles) {
      __syncwarp();
      publish(kSpace.x_feed, kSpace.stats_feed, block, nullptr);
    }
    DIT_MARK(*this, 5);
  }

  __device__ void empty_qkv(std::byte* to) const {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int odd = 0; odd < 2; ++odd) {
        const int s = 8 * n + lane % 4 * 2 + odd;
        if (s < tokens) {
          store4(to + s * 3 * kHeadDim * 2 + lane / 4 * 4, kEmpty);
        }
      }
    }
  }

  // --- feed forward
  __device__ void finish_up(std::byte* from, int block) const {
    constexpr int kQuads = kGroupRows / 4;
    constexpr int kRounds = (2 * kTiles * kQuads + kConsumers - 1) / kConsumers;
    constexpr size_t kStep = kTokens / 4 * kGroupRows * 2;
    constexpr size_t kHalf = kTokens * kHidden * 2;
    const float* vector = vectors(block);
#pragma unroll
    for (int i = 0; i < kRounds; ++i) {
      const int e = tid + i * kConsumers;
      const int row = e % kQuads * 4;
      const int s = r + kRanks * (e / kQuads);
      if (s >= tokens) {
        break;
      }
      std::byte* p = from + static_cast<size_t>(cta) * kRanks * kStep + e * 8;
      uint2 v[kRanks];
#pragma unroll
      for (int q = 0; q < kRanks; ++q) {
        v[q] = load8(p + q * kStep);
      }
      await(v, [&](int q) { return p + q * kStep; });
      float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
      for (int q = 0; q < kRanks; ++q) {
        add_partial(sum, v[q]);
      }
      const float2 m = stats(1)[s];
      const float4 gain = *reinterpret_cast<const float4*>(vector + kUpGain + row);
      const float4 offset = *reinterpret_cast<const float4*>(vector + kUpOffset + row);
      const auto value = [&](float x, float g, float o) {
        return gelu_tanh(m.y * (x / kPartialScale - m.x * g) + o);
      };
      const size_t at = ((j / 2 * kTokens + s) * kSlice + j % 2 * kGroupRows + row) * 2;
      store8(buffer(kSpace.hidden, block, kHalf) + at,
             make_uint2(pack_bf16(value(sum.x, gain.x, offset.x), value(sum.y, gain.y, offset.y)),
                        pack_bf16(value(sum.z, gain.z, offset.z), value(sum.w, gain.w, offset.w))));
      store8(buffer(kSpace.hidden, block + 1, kHalf) + at, make_uint2(kEmpty, kEmpty));
#pragma unroll
      for (int q = 0; q < kRanks; ++q) {
        store8(p + q * kStep, make_uint2(kEmpty, kEmpty));
      }
    }
  }

  __device__ void up(int block) {
    forget();
    constexpr size_t kXHalf = kTokens * kWidth * 2;
    constexpr size_t kUpHalf = size_t{kCtas} * kRanks * (kTokens / 4) * kGroupRows * 2;
    take_slice(buffer(kSpace.x_feed, block, kXHalf) + r * kTokens * kSlice * 2);
    sync();
    DIT_MARK(*this, 6);
    float acc[4 * kTiles];
    issue<kFeedForwardStages, 3>(acc, 0);
    settle(acc);
    release(stage - 2);
    release(stage - 1);
    DIT_MARK(*this, 7);
    std::byte* to = buffer(kSpace.up, block, kUpHalf);
    send(acc, 2 * kGroupRows * 2, [&](int s) {
      const int owner = j * kRanks + s % kRanks;
      return to + (((owner * kRanks + r) * (kTokens / 4) + s / kRanks) * kGroupRows + warp * 16) * 2;
    });
    sync_with_stats();
    finish_up(to, block);
    DIT_MARK(*this, 8);
  }

  __device__ void down(int block) {
    forget();
    constexpr size_t kHiddenHalf = kTokens * kHidden * 2;
    constexpr size_t kDownHalf = size_t{kCtas} * kDownSlices * (kTokens / 4) * kHeadDim * 2;
    const int slice = cta / kDownGroups;
    take_slice(buffer(kSpace.hidden, block, kHiddenHalf) + slice * kTokens * kSlice * 2);
    sync();
    DIT_MARK(*this, 9);
    float acc[4 * kTiles];
    issue<kFeedForwardStages, 3>(acc, 0);
    settle(acc);
    release(stage - 2);
    release(stage - 1);
    DIT_MARK(*this, 10);
    std::byte* to = buffer(kSpace.down, block, kDownHalf);
    send_to_owners(acc, to, kDownSlices, slice, 12 * (cta % kDownGroups) + warp);
    sync();  // kInput is free
    if (owns_tile()) {
      add_sources<kDownSlices>(to, vectors(block) + kDownBias);
    }
    if (block + 1 < a.blocks) {
      barrier_wait(vectors_full(block + 1), (block + 1) / 2 % 2);
      if (warp < kTiles) {
        __syncwarp();
        publish(kSpace.x_attend, kSpace.stats_attend, block, vectors(block + 1) + kScale);
      }
    }
    __syncwarp();
    if (lane == 0) {
      barrier_arrive(vectors_empty(block));
    }
    DIT_MARK(*this, 11);
  }

  __device__ float4* residual_at(float* x) const {
    return reinterpret_cast<float4*>(x + (r + kRanks * (tid / 16)) * kWidth + j * kHeadDim +
                                     tid % 16 * 4);
  }

  __device__ void consume() {
    for (int i = tid; i < (kTokens + 15) / 16 * kChunkBytes / 16; i += kConsumers) {
      // values of keys past the last token: multiplied by zero, so they must be numbers
      reinterpret_cast<uint4*>(shared + S::kKeyValue)[i] = make_uint4(0, 0, 0, 0);
    }
    residual = make_float4(0, 0, 0, 0);
    if (owns_tile()) {
      residual = *residual_at(const_cast<float*>(a.x));
    }
    barrier_wait(vectors_full(0), 0);
    if (warp < kTiles) {
      __syncwarp();
      publish(kSpace.x_attend, kSpace.stats_attend, -1, vectors(0) + kScale);
    }
#ifdef SINEW_DIT_PROFILE
    last = clock64();
#endif
#pragma unroll 1
    for (int block = 0; block < a.blocks; block += 2) {
#pragma unroll 1
      for (int odd = 0; odd < 2; ++odd) {
        if (odd == 0) {
          attend<true>(block);
        } else {
          attend<false>(block + 1);
        }
        up(block + odd);
        down(block + odd);
      }
    }
    if (owns_tile()) {
      *residual_at(a.out) = residual;
    }
  }

  // --- the producer
  __device__ void fetch(const std::byte* from, uint64_t policy) {
    if (stage >= kSlots) {
      barrier_wait(empty(stage), turn(stage) ^ 1);
    }
    const auto behind = static_cast<uint32_t>(a.stages_in_flight);
    if (stage >= behind) {  // a full queue at the memory would delay what CTAs exchange
      barrier_wait(full(stage - behind), turn(stage - behind));
    }
#ifdef SINEW_DIT_NO_WEIGHTS
    barrier_arrive(full(stage));
#else
    barrier_expect(full(stage), kStageBytes);
#pragma unroll 1
    for (int i = 0; i < 3; ++i) {  // evenly in time, for the same reason
      while (cycles() - last_copy < static_cast<uint32_t>(a.cycles_per_copy)) {
      }
      last_copy = cycles();
      copy_bulk(slot(stage) + i * kShareBytes, from + i * kShareBytes, kShareBytes, full(stage),
                policy);
    }
#endif
    ++stage;
  }

  __device__ void fetch_vectors(int block) {
    if (block >= a.blocks) {
      return;
    }
    if (block >= 2) {
      barrier_wait(vectors_empty(block), (block / 2 - 1) % 2);
    }
    barrier_expect(vectors_full(block), kVectorBytes);
    copy_bulk(base + S::kVectors + (block % 2) * kVectorBytes,
              a.vectors + (static_cast<size_t>(block) * kHeads + j) * kVectorFloats, kVectorBytes,
              vectors_full(block), kReadAgain);
  }

  __device__ void produce() {
    const std::byte* w = a.weights + cta * first_stage(a.blocks) * kStageBytes;
    fetch_vectors(0);
    for (int block = 0; block < a.blocks; ++block) {
      const bool cross = is_cross(block);
      const int count = cross ? kCrossStages : kSelfStages;
      for (int i = 0; i < count; ++i, w += kStageBytes) {
        if (cross && i == kQueryStages) {
          const int stages = context_stages(a.context_tokens[block / 2]);
          const std::byte* kv = a.context[block / 2] + static_cast<size_t>(j) * stages * kStageBytes;
          for (int k = 0; k < stages; ++k) {
            fetch(kv + static_cast<size_t>(k) * kStageBytes, kReadAgain);
          }
        }
        if (i == count - kFeedForwardStages) {
          fetch_vectors(block + 1);
        }
        fetch(w, kReadOnce);
      }
    }
  }
};

#endif  // sm_90a

template <int kTiles>
__global__ void __launch_bounds__(kThreads, 1)
    stack_kernel(const __grid_constant__ StackArguments arguments) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(128) std::byte shared[];
  using S = Shared<kTiles>;
  Cta<kTiles> c{arguments, shared};
  c.base = shared_address(shared);
  c.tid = static_cast<int>(threadIdx.x), c.cta = static_cast<int>(blockIdx.x);
  // known to be the same in all lanes
  c.warp = __shfl_sync(~0U, c.tid / 32, 0), c.lane = c.tid % 32, c.j = c.cta / kRanks, c.r = c.cta % kRanks;
  c.tokens = arguments.tokens;
  c.owned = (c.tokens - c.r + kRanks - 1) / kRanks;
  c.stage = 0, c.last_copy = 0;
  if (c.tid == 0) {
    for (uint32_t i = 0; i < kSlots + 2; ++i) {
      barrier_init(c.base + S::kBarriers + i * 16, 1);
      barrier_init(c.base + S::kBarriers + i * 16 + 8, kConsumerWarps);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    fence_async();
  }
  __syncthreads();
  if (c.warp < kConsumerWarps) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 152;");
    c.consume();
  } else {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 56;");
    if (c.tid == kConsumers) {
      c.produce();
    } else if (c.warp > kConsumerWarps) {
      c.measure();
    }
  }
#else
  __trap();
#endif
}

}  // namespace sinew::cuda::dit
