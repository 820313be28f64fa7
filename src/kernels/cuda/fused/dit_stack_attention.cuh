// The attention phase of dit_stack_kernel.cuh: queries (keys, values) of a head from their partial
// sums, attention over chunks of 16 keys, and the output product.
#pragma once

#include "kernels/cuda/fused/dit_stack_cta.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

namespace sinew::cuda::dit {

// --- attention
// q, k or v of eight dimensions `column` .. of token s, from their summed products.
template <int kTiles>
__device__ uint4 Cta<kTiles>::finish_norm(const float (&sum)[8], int s, const float* vector,
                                          int column, float scale) const {
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

template <int kTiles>
template <int kCount>
__device__ void Cta<kTiles>::sum_partials(float (&sum)[8], uint4 (&v)[kCount], uint32_t tag,
                                          const std::byte* const (&p)[kCount]) {
  await(v, Older{tag}, [&](int i) { return p[i]; });
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

// Keys and values of all tokens, then this CTA's queries.
template <int kTiles>
__device__ void Cta<kTiles>::take_self(const std::byte* from, uint32_t tag,
                                       const float* vector) const {
  // values of keys past the last token are multiplied by zero, so they must be numbers
  std::byte* const end = shared + S::kKeyValue + context_chunks(tokens) * kChunkBytes;
  const int padding = context_chunks(tokens) * kChunkKeys - tokens;
  if (tid < padding * (kHeadDim / 8)) {
    reinterpret_cast<uint4*>(end)[-1 - tid] = make_uint4(0, 0, 0, 0);
  }
  constexpr int kRounds = (kTokens * 12 + kTokens / kRanks * 6 + kConsumers - 1) / kConsumers;
#pragma unroll 1
  for (int i = 0; i < kRounds; ++i) {
    const int item = tid + i * kConsumers;
    const int query = item - tokens * 12;
    const bool is_query = query >= 0;
    const int s = is_query ? r + kRanks * (query / 6) : item / 12;
    const int column = is_query ? query % 6 * 8 : kHeadDim + item % 12 * 8;
    if (s >= tokens) {
      break;
    }
    const std::byte* p[kRanks];
    uint4 v[kRanks];
#pragma unroll
    for (int q = 0; q < kRanks; ++q) {
      p[q] = from + (q * kRankItems + s * 18) * 16 + column * 2;
      v[q] = load16(p[q]);
    }
    float sum[8];
    sum_partials(sum, v, tag, p);
    const uint4 out = finish_norm(sum, s, vector, column, is_query ? kSoftmaxScale : 1.F);
    const int part = column / kHeadDim;
    std::byte* to = is_query ? shared + S::kQuery + s / kRanks * kQueryRowBytes
                             : shared + S::kKeyValue + s / 16 * kChunkBytes +
                                   (part - 1) * (kChunkBytes / 2) + s % 16 * (kHeadDim * 2);
    *reinterpret_cast<uint4*>(to + column % kHeadDim * 2) = out;
  }
}

template <int kTiles>
__device__ void Cta<kTiles>::take_cross(const std::byte* from, uint32_t tag,
                                        const float* vector) const {
  const int s = r + kRanks * (tid / 6);
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
  sum_partials(sum, v, tag, p);
  *reinterpret_cast<uint4*>(shared + S::kQuery + tid / 6 * kQueryRowBytes + column * 2) =
      finish_norm(sum, s, vector, column, kSoftmaxScale);
}

// Warp w: key chunks w, w + 12, ... of all queries of this CTA. Partial results and their maxima
// and sums of exponentials to shared memory.
template <int kTiles>
template <bool kCross>
__device__ void Cta<kTiles>::attend_chunks(int keys) {
  const int row = lane % 8;
  const int which = lane / 8;
  uint32_t q[kOwn][8];
#pragma unroll
  for (int n = 0; n < kOwn; ++n) {
    const uint32_t at = base + S::kQuery + (8 * n + row) * kQueryRowBytes;
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
  for (int c = warp; c < chunks; c += kConsumerWarps) {
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
      load_matrices_transposed(v[i], at + kChunkBytes / 2 + (row + which / 2 * 8) * (kHeadDim * 2) +
                                         i * 32 + which % 2 * 16);
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
  if (warp < chunks) {
    store_chunks(out, top, sum);
  }
  if (kCross) {
    for (int i = 0; i < context_stages(keys); ++i, ++stage) {
      barrier_wait(full(stage), turn(stage));
      release(stage);
    }
  }
}

template <int kTiles>
__device__ void Cta<kTiles>::store_chunks(const float (&out)[kOwn][3][4],
                                          const float (&top)[kOwn][2],
                                          const float (&sum)[kOwn][2]) const {
  float* merge = reinterpret_cast<float*>(shared + S::kInput);
  float2* max_sum = reinterpret_cast<float2*>(shared + S::kMaxSum);
#pragma unroll
  for (int n = 0; n < kOwn; ++n) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int at = warp * S::kQueries + 8 * n + lane % 4 * 2 + e;
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

// Two columns of a token a thread; to all CTAs whose slice of `out` has this head.
template <int kTiles>
__device__ void Cta<kTiles>::merge_chunks(int keys, int block) const {
  constexpr int kPairs = kHeadDim / 2;
  constexpr size_t kHalf = kTokens * kWidth * 2;
  const int query = tid / kPairs;
  const int column = tid % kPairs * 2;
  if (query >= owned) {
    return;
  }
  const float* merge = reinterpret_cast<const float*>(shared + S::kInput);
  const float2* max_sum = reinterpret_cast<const float2*>(shared + S::kMaxSum);
  const int sets = min(kConsumerWarps, context_chunks(keys));
  float top = -INFINITY;
  for (int i = 0; i < sets; ++i) {
    top = fmaxf(top, max_sum[i * S::kQueries + query].x);
  }
  float total = 0;
  float2 o = make_float2(0, 0);
  for (int i = 0; i < sets; ++i) {
    const int at = i * S::kQueries + query;
    const float2 m = max_sum[at];
    const float weight = exp2f(m.x - top);
    const float2 part = *reinterpret_cast<const float2*>(merge + at * kMergeRow + column);
    total += weight * m.y;
    o.x += weight * part.x, o.y += weight * part.y;
  }
  const float scale = 1.F / total;
  const size_t at =
      ((j / 2 * kTokens + r + kRanks * query) * kOutSlice + j % 2 * kHeadDim + column) * 2;
  store4(buffer(kSpace.attended, block, kHalf) + at, pack_bf16(o.x * scale, o.y * scale));
  store4(buffer(kSpace.attended, block + 1, kHalf) + at, kEmpty);
}

// [tokens, 96] bf16 from two heads' CTAs to kInput, ready for wgmma after sync()
template <int kTiles>
__device__ void Cta<kTiles>::take_attended(const std::byte* from) const {
  constexpr int kColumns = kOutSlice / 8;
  constexpr int kRounds = (kTokens * kColumns + kConsumers - 1) / kConsumers;
  constexpr int kRows = kConsumers / kColumns;
  const std::byte* p = from + tid * 16;
  uint4 v[kRounds];
#pragma unroll
  for (int i = 0; i < kRounds; ++i) {
    v[i] = i * kRows + tid / kColumns < tokens ? load16(p + i * kConsumers * 16)
                                               : make_uint4(0, 0, 0, 0);
  }
  await(v, Empty(), [&](int i) { return p + i * kConsumers * 16; });
#pragma unroll
  for (int i = 0; i < kRounds; ++i) {
    const int s = i * kRows + tid / kColumns;
    if (s < kTokens) {
      *reinterpret_cast<uint4*>(shared + S::kInput + s / 8 * kSliceTileBytes +
                                tid % kColumns * kAlongK + s % 8 * 16) = v[i];
    }
  }
  fence_async();
}

template <int kTiles>
template <bool kCross>
__device__ void Cta<kTiles>::attend(int block) {
  forget();
  constexpr size_t kXHalf = kTokens * kWidth * 2;
  take_slice(buffer(kSpace.x_attend, block - 1, kXHalf) + r * kTokens * kSlice * 2);
  sync();
  DIT_MARK(*this, 0);
  float acc[4 * kTiles];
  auto parts = stats_parts<(kTokens + 23) / 24>(
      buffer(kSpace.stats_attend, block - 1, kTokens * kHeads * 8), 0, 1);
  if (kCross) {
    issue<kQueryStages, 4>(acc, input(warp / 4 * 8), [&] { ask_stats(parts); });
  } else {
    issue<kQkvStages, 4>(acc, input(0), [&] { ask_stats(parts); });
  }
  settle(acc);
  release(stage - 2);
  release(stage - 1);
  DIT_MARK(*this, 1);
  const uint32_t tag = tag_of(block);
  std::byte* mine = a.workspace + kSpace.qkv + j * kRanks * kRankItems * 16;
  const int at = r * kRankItems * 16 + (warp / 4 * kHeadDim + warp % 4 * 16) * 2;
  if (warp % 4 < 3) {
    send(acc, tag, 8 * 3 * kHeadDim * 2, [&](int s) { return mine + at + s * 3 * kHeadDim * 2; });
  }
  take_stats(parts, stats(0));
  sync();
  barrier_wait(vectors_full(block), block / 2 % 2);
  if (kCross) {
    take_cross(mine, tag, vectors(block));
  } else {
    take_self(mine, tag, vectors(block));
  }
  sync();
  DIT_MARK(*this, 2);
  const int keys = kCross ? a.context_tokens[block / 2] : tokens;
  attend_chunks<kCross>(keys);
  sync();
  merge_chunks(keys, block);
  sync();  // kInput is free
  DIT_MARK(*this, 3);
}

template <int kTiles>
__device__ void Cta<kTiles>::out(int block) {
  forget();
  constexpr size_t kHalf = kTokens * kWidth * 2;
  take_attended(buffer(kSpace.attended, block, kHalf) +
                cta / kDownGroups * kTokens * kOutSlice * 2);
  sync();
  DIT_MARK(*this, 4);
  float acc[4 * kTiles];
  issue<kOutStages, 3>(acc, input(0), [] {});
  settle(acc);
  release(stage - 2);
  release(stage - 1);
  sync();  // kInput is free
  std::byte* to = a.workspace + kSpace.out;
  send_to_owners(acc, tag_of(block), to);
  DIT_MARK(*this, 5);
  if (owns_tile()) {
    add_sources(to, tag_of(block), vectors(block) + kOutBias);
  }
  if (warp < kTiles) {
    __syncwarp();
    publish(kSpace.x_feed, kSpace.stats_feed, block, nullptr);
  }
  DIT_MARK(*this, 6);
}

}  // namespace sinew::cuda::dit

#endif  // sm_90a
