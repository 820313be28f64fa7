// The kernel of dit_stack.h. Per block and CTA:
//   attend  x -> q (k, v) of head j over a quarter of the columns; the four CTAs of the group swap
//           partial sums, and each attends with its queries: tokens r, r + 4, ...
//   out     two heads -> 192 rows; the owner of a residual tile sums the 16 slices
//   up      x -> 192 hidden rows over a quarter of the columns; four CTAs swap partial sums
//   down    hidden slice -> 192 rows; the owner of a residual tile sums the 16 slices
// CTA (j, r) owns the residual of rows 48 j .. 48 j + 47 of tokens r, r + 4, ...: f32 in registers.
//
// There is no grid barrier. Every exchanged word is its own flag; readers load until it is there.
//   Partial sums carry a tag, the parity of their block. They replace those of the block before,
//   which have been read by then: any output of a block depends on all that CTAs read in the block
//   before. A launch has an even number of blocks, so the next one finds the odd tag everywhere.
//   What a CTA reads in self blocks only (others' keys and values) has been replaced, and read by
//   the tokens' owners, in the cross block between.
//   x, attention's result, hidden rows and statistics have no bit to spare. They exist twice and
//   hold kEmpty until they are written; the writer empties the other block's when it writes this
//   block's.
// All sums have a fixed order: results do not depend on timing.
//
// A producer thread streams weights, packed keys and values, and vectors through a ring in shared
// memory without regard to any of this, so that memory works while CTAs wait for each other.
#pragma once

#include "kernels/cuda/fused/dit_stack_attention.cuh"

namespace sinew::cuda::dit {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// --- feed forward
template <int kTiles>
__device__ void Cta<kTiles>::finish_up(const std::byte* from, int block) const {
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
    const std::byte* p = from + static_cast<size_t>(cta) * kRanks * kStep + e * 8;
    uint2 v[kRanks];
#pragma unroll
    for (int q = 0; q < kRanks; ++q) {
      v[q] = load8(p + q * kStep);
    }
    await(v, Older{tag_of(block)}, [&](int q) { return p + q * kStep; });
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
  }
}

template <int kTiles>
__device__ void Cta<kTiles>::up(int block) {
  forget();
  constexpr size_t kXHalf = kTokens * kWidth * 2;
  take_slice(buffer(kSpace.x_feed, block, kXHalf) + r * kTokens * kSlice * 2);
  sync();
  DIT_MARK(*this, 7);
  float acc[4 * kTiles];
  auto parts = stats_parts<1>(buffer(kSpace.stats_feed, block, kTokens * kHeads * 8), r, kRanks);
  issue<kFeedForwardStages, 3>(acc, input(0), [&] { ask_stats(parts); });
  settle(acc);
  release(stage - 2);
  release(stage - 1);
  DIT_MARK(*this, 8);
  std::byte* to = a.workspace + kSpace.up;
  send(acc, tag_of(block), 2 * kGroupRows * 2, [&](int s) {
    const int owner = j * kRanks + s % kRanks;
    return to + (((owner * kRanks + r) * (kTokens / 4) + s / kRanks) * kGroupRows + warp * 16) * 2;
  });
  take_stats(parts, stats(1));
  sync();
  finish_up(to, block);
  DIT_MARK(*this, 9);
}

template <int kTiles>
__device__ void Cta<kTiles>::down(int block) {
  forget();
  constexpr size_t kHiddenHalf = kTokens * kHidden * 2;
  const int slice = cta / kDownGroups;
  take_slice(buffer(kSpace.hidden, block, kHiddenHalf) + slice * kTokens * kSlice * 2);
  sync();
  DIT_MARK(*this, 10);
  float acc[4 * kTiles];
  issue<kFeedForwardStages, 3>(acc, input(0), [] {});
  settle(acc);
  release(stage - 2);
  release(stage - 1);
  DIT_MARK(*this, 11);
  std::byte* to = a.workspace + kSpace.down;
  send_to_owners(acc, tag_of(block), to);
  sync();  // kInput is free
  if (owns_tile()) {
    add_sources(to, tag_of(block), vectors(block) + kDownBias);
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
  DIT_MARK(*this, 12);
}

template <int kTiles>
__device__ float4* Cta<kTiles>::residual_at(float* x) const {
  return reinterpret_cast<float4*>(x + (r + kRanks * (tid / 16)) * kWidth + j * kHeadDim +
                                   tid % 16 * 4);
}

template <int kTiles>
__device__ void Cta<kTiles>::consume() {
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
      out(block + odd);
      up(block + odd);
      down(block + odd);
    }
  }
  if (owns_tile()) {
    *residual_at(a.out) = residual;
  }
}

// --- the producer
template <int kTiles>
__device__ void Cta<kTiles>::fetch(const std::byte* from, uint64_t policy) {
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

template <int kTiles>
__device__ void Cta<kTiles>::fetch_vectors(int block) {
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

template <int kTiles>
__device__ void Cta<kTiles>::produce() {
  fetch_vectors(0);
  for (int block = 0; block < a.blocks; ++block) {
    const bool cross = is_cross(block);
    const int count = block_stages(cross);
    const std::byte* w = a.weights[block] + static_cast<size_t>(cta) * count * kStageBytes;
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
  c.warp = __shfl_sync(~0U, c.tid / 32, 0), c.lane = c.tid % 32, c.j = c.cta / kRanks,
  c.r = c.cta % kRanks;
  c.tokens = arguments.tokens;
  c.owned = (c.tokens - c.r + kRanks - 1) / kRanks;
  c.stage = 0, c.last_copy = 0;
  if (c.tid == 0) {
    for (uint32_t i = 0; i < S::kSlots + 2; ++i) {
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
    }
  }
#else
  __trap();
#endif
}

}  // namespace sinew::cuda::dit
