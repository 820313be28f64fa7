// out = epilogue(a w^T) on sm_90a: tiles of 128 rows, two consumer warpgroups of 64 rows each fed
// by one copying thread through a ring of shared-memory stages; one more warp fetches what the end
// of a tile needs beside its sums (gemm_terms.cuh).
//
// Blocks of a cluster that need the same tile each fetch a part of it and send it to all of them,
// so that a byte crosses from L2 once a cluster; blocks that split the depth add up through
// distributed shared memory, in the order of their ranks. Rows of w arrive permuted
// (gemm_epilogue.cuh) because the map of w is five-dimensional: its boxes walk a group of 16 rows
// as [2, 4, 2].
//
// Copies of w, a parameter, are under way before the preceding kernel is done; those of a are not.
#pragma once

#include "kernels/cuda/fused/gemm_epilogue.cuh"
#include "kernels/cuda/fused/gemm_terms.cuh"
#include "kernels/cuda/fused/hopper.cuh"
#include "kernels/cuda/fused/launch.cuh"
#include "kernels/cuda/fused/wgmma.cuh"

namespace sinew::cuda {

constexpr int kGemmRows = 128;
constexpr int kGemmDepth = 64;     // k of a stage: one swizzled row of 128 bytes
constexpr int kGemmThreads = 320;  // two warpgroups that compute, a warp that copies, one for terms
constexpr int kGemmConsumers = 256;
constexpr int kMaxStages = 8;
constexpr uint32_t kRowBytes = 128;

// Narrow tiles leave room for two blocks on a multiprocessor: one computes while the other fills or
// drains, and the next kernel's blocks can fetch their weights.
constexpr __host__ __device__ int gemm_blocks_per_sm(int columns) {
  return columns <= 96 ? 2 : 1;
}

struct GemmShape {
  int row_tiles = 0;     // a multiple of cluster_m
  int column_tiles = 0;  // a multiple of cluster_n
  int depth_steps = 0;
  int cluster_m = 1;
  int cluster_n = 1;
  int split_k = 1;
  int stages = 0;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

namespace sm90 {

// Which tile, and which part of the depth, a block works on.
struct Place {
  int in_m, in_n, in_k;  // within the cluster
  int first_rank;        // of the blocks with the same in_k
  int clusters, cluster;
  int first_step, last_step;
};

__device__ __forceinline__ Place place_of(const GemmShape& s) {
  const int size = s.cluster_m * s.cluster_n * s.split_k;
  const int rank = size == 1 ? 0 : static_cast<int>(hopper::cluster_rank());
  const int sharing = s.cluster_m * s.cluster_n;
  Place p{};
  p.in_k = rank / sharing;
  p.first_rank = p.in_k * sharing;
  p.in_n = rank % sharing / s.cluster_m;
  p.in_m = rank % s.cluster_m;
  p.clusters = static_cast<int>(gridDim.x) / size;
  p.cluster = static_cast<int>(blockIdx.x) / size;
  p.first_step = s.depth_steps * p.in_k / s.split_k;
  p.last_step = s.depth_steps * (p.in_k + 1) / s.split_k;
  return p;
}

struct Ring {
  uint32_t a, w;         // of stage 0
  uint32_t full, empty;  // barriers of stage 0, 8 bytes each
  uint32_t terms;
};

__device__ __forceinline__ void advance(int& stage, uint32_t& phase, int stages) {
  if (++stage == stages) {
    stage = 0;
    phase ^= 1;
  }
}

template <int kColumns, bool kIsPaired>
__device__ __forceinline__ void copy_tiles(const CUtensorMap& a_map, const CUtensorMap& w_map,
                                           const GemmShape& s, const Place& p, const Ring& ring) {
  constexpr uint32_t kWBytes = kColumns * kRowBytes;
  constexpr uint32_t kABytes = kGemmRows * kRowBytes;
  constexpr int kGroup = kIsPaired ? 32 : 16;
  const int a_rows = kGemmRows / s.cluster_n;
  const int w_rows = kColumns / s.cluster_m;
  uint16_t a_blocks = 0;
  uint16_t w_blocks = 0;
  for (int i = 0; s.cluster_n > 1 && i < s.cluster_n; ++i) {
    a_blocks |= static_cast<uint16_t>(1U << (p.first_rank + i * s.cluster_m + p.in_m));
  }
  for (int i = 0; s.cluster_m > 1 && i < s.cluster_m; ++i) {
    w_blocks |= static_cast<uint16_t>(1U << (p.first_rank + p.in_n * s.cluster_m + i));
  }
  const int row_clusters = s.row_tiles / s.cluster_m;
  const int tiles = row_clusters * (s.column_tiles / s.cluster_n);
  const auto copy_a = [&](int tile, int step, int stage) {
    const int row = (tile % row_clusters * s.cluster_m + p.in_m) * kGemmRows + p.in_n * a_rows;
    hopper::copy_box_2d(&a_map,
                        ring.a + static_cast<uint32_t>(stage) * kABytes +
                            static_cast<uint32_t>(p.in_n * a_rows) * kRowBytes,
                        ring.full + static_cast<uint32_t>(stage) * 8, step * kGemmDepth, row,
                        a_blocks);
  };
  const auto copy_w = [&](int tile, int step, int stage) {
    const int row = (tile / row_clusters * s.cluster_n + p.in_n) * kColumns + p.in_m * w_rows;
    hopper::copy_box_5d(&w_map,
                        ring.w + static_cast<uint32_t>(stage) * kWBytes +
                            static_cast<uint32_t>(p.in_m * w_rows) * kRowBytes,
                        ring.full + static_cast<uint32_t>(stage) * 8, step * kGemmDepth,
                        row / kGroup, w_blocks);
  };
  // The first stages: all of w that fits, then the wait, then a.
  const int early = min(s.stages, p.last_step - p.first_step);
  for (int i = 0; i < early; ++i) {
    hopper::barrier_expect_bytes(ring.full + static_cast<uint32_t>(i) * 8, kABytes + kWBytes);
    copy_w(p.cluster, p.first_step + i, i);
  }
  wait_for_producers();
  for (int i = 0; i < early; ++i) {
    copy_a(p.cluster, p.first_step + i, i);
  }
  int stage = early == s.stages ? 0 : early;
  uint32_t phase = early == s.stages ? 0 : 1;
  for (int tile = p.cluster; tile < tiles; tile += p.clusters) {
    for (int step = p.first_step + (tile == p.cluster ? early : 0); step < p.last_step; ++step) {
      const uint32_t offset = static_cast<uint32_t>(stage) * 8;
      hopper::barrier_wait(ring.empty + offset, phase);
      hopper::barrier_expect_bytes(ring.full + offset, kABytes + kWBytes);
      copy_w(tile, step, stage);
      copy_a(tile, step, stage);
      advance(stage, phase, s.stages);
    }
  }
}

// Tells every block that writes into this one that a stage is free. Called by whole warps.
__device__ __forceinline__ void release_stage(const GemmShape& s, const Place& p, const Ring& ring,
                                              int stage) {
  const uint32_t barrier = ring.empty + static_cast<uint32_t>(stage) * 8;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (s.cluster_m * s.cluster_n == 1) {
    if (lane == 0) {
      if (s.split_k == 1) {
        hopper::barrier_arrive(barrier);
      } else {
        hopper::barrier_arrive_at(barrier, static_cast<uint32_t>(p.first_rank));
      }
    }
    return;
  }
  if (lane < s.cluster_n) {
    hopper::barrier_arrive_at(barrier,
                              static_cast<uint32_t>(p.first_rank + lane * s.cluster_m + p.in_m));
  } else if (lane < s.cluster_n + s.cluster_m - 1) {
    const int other = lane - s.cluster_n;
    const int in_m = other < p.in_m ? other : other + 1;
    hopper::barrier_arrive_at(barrier,
                              static_cast<uint32_t>(p.first_rank + p.in_n * s.cluster_m + in_m));
  }
}

// Adds the products of a tile's depth to the sums. Without rows it only keeps the ring turning.
template <int kColumns>
__device__ __forceinline__ void multiply(float (&sums)[kColumns / 2], const GemmShape& s,
                                         const Place& p, const Ring& ring, int group, bool has_rows,
                                         int& stage, uint32_t& phase) {
  if (!has_rows) {
    for (int step = p.first_step; step < p.last_step; ++step) {
      hopper::barrier_wait(ring.full + static_cast<uint32_t>(stage) * 8, phase);
      release_stage(s, p, ring, stage);
      advance(stage, phase, s.stages);
    }
    return;
  }
  int previous = -1;
  for (int step = p.first_step; step < p.last_step; ++step) {
    hopper::barrier_wait(ring.full + static_cast<uint32_t>(stage) * 8, phase);
    const uint64_t a = hopper::tile_descriptor(
        ring.a +
        (static_cast<uint32_t>(stage) * kGemmRows + static_cast<uint32_t>(group) * 64) * kRowBytes);
    const uint64_t w =
        hopper::tile_descriptor(ring.w + static_cast<uint32_t>(stage) * kColumns * kRowBytes);
    hopper::wgmma_fence();
#pragma unroll
    for (int i = 0; i < kGemmDepth / 16; ++i) {
      hopper::wgmma(sums, a + 2 * i, w + 2 * i);
    }
    hopper::wgmma_commit();
    hopper::wgmma_wait<1>();
    if (previous >= 0) {
      release_stage(s, p, ring, previous);
    }
    previous = stage;
    advance(stage, phase, s.stages);
  }
  hopper::wgmma_wait<0>();
  if (previous >= 0) {
    release_stage(s, p, ring, previous);
  }
}

// Blocks that split the depth each finish a part of the tile: of 2, one row half of every 16 rows;
// of 4, a half of its columns.
template <int kColumns, int kSplits>
struct Parts {
  static constexpr int kQuads = kColumns / 16 / (kSplits / 2);  // of a thread in a part

  static constexpr __device__ int owner(int group, int half) {
    return kSplits == 2 ? half : 2 * (group / kQuads) + half;
  }
};

// Quads of a thread are 4096 bytes apart.
constexpr uint32_t kQuadStride = kGemmConsumers * 16;

// Sends every part to its owner, and waits for all parts of this block's: float4
// [kSplits, kQuads, 256] at `exchange`, which is the ring: first everybody must be done with it.
template <int kColumns, int kSplits>
__device__ __forceinline__ void exchange_parts(const float (&sums)[kColumns / 2],
                                               const GemmShape& s, const Place& p,
                                               uint32_t exchange) {
  using Part = Parts<kColumns, kSplits>;
  const int sharing = s.cluster_m * s.cluster_n;
  const int in_cluster = p.in_n * s.cluster_m + p.in_m;
  const uint32_t slot =
      exchange + static_cast<uint32_t>(p.in_k * Part::kQuads) * kQuadStride + threadIdx.x * 16;
  hopper::cluster_arrive();
  hopper::cluster_wait();
#pragma unroll
  for (int owner = 0; owner < kSplits; ++owner) {
    const uint32_t to =
        hopper::address_at(slot, static_cast<uint32_t>(owner * sharing + in_cluster));
#pragma unroll
    for (int quad = 0; quad < Part::kQuads; ++quad) {
      const int group = kSplits == 2 ? quad : owner / 2 * Part::kQuads + quad;
      hopper::store_at(to + static_cast<uint32_t>(quad) * kQuadStride,
                       quad_of(sums, group, owner % 2));
    }
  }
  hopper::cluster_arrive();
  hopper::cluster_wait();
}

// Of a tile: its first row and column, and the row of this thread's row half 0.
struct Tile {
  int row, column;
  int in_row;

  __device__ int thread_row() const { return row + in_row; }
};

__device__ __forceinline__ Tile tile_at(const GemmShape& s, const Place& p, int tile, int columns) {
  const int row_clusters = s.row_tiles / s.cluster_m;
  return {
      .row = (tile % row_clusters * s.cluster_m + p.in_m) * kGemmRows,
      .column = (tile / row_clusters * s.cluster_n + p.in_n) * columns,
      .in_row = static_cast<int>(threadIdx.x) / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4};
}

// Adds the parts in the order of their ranks and finishes this block's.
template <int kColumns, int kSplits, GemmEpilogue kEpilogue>
__device__ __forceinline__ void finish_part(const Place& p, const Ring& ring,
                                            const EpilogueOperands& e, const Tile& tile) {
  using Part = Parts<kColumns, kSplits>;
  const uint32_t slot = ring.a + threadIdx.x * 16;
  const auto sum_of = [&](int quad) {
    float4 sum = terms::load_shared_4(slot + static_cast<uint32_t>(quad) * kQuadStride);
#pragma unroll
    for (int from = 1; from < kSplits; ++from) {
      sum = sum + terms::load_shared_4(slot + static_cast<uint32_t>(from * Part::kQuads + quad) *
                                                  kQuadStride);
    }
    return sum;
  };
  const terms::Place<kColumns> terms{ring.terms};
  const int in_row = tile.in_row + 8 * (p.in_k % 2);
  const int row = tile.row + in_row;
  const int first = p.in_k / 2 * Part::kQuads * 16;
  const int in_column = first + 4 * (static_cast<int>(threadIdx.x) % 4);
  if constexpr (kEpilogue == GemmEpilogue::kHeadRope) {
    float4 head[8];
#pragma unroll
    for (int quad = 0; quad < 8; ++quad) {
      head[quad] = sum_of(quad);
    }
    finish_head(e, row, tile.column, head);
  } else if constexpr (terms::kHasBias<kEpilogue>) {
    const terms::Norm<kColumns, 1> norm(terms, in_row, in_column);
    if (row < e.m) {
#pragma unroll 4
      for (int g = 0; g < Part::kQuads; ++g) {
        norm.apply(
            g, [&](int, int quad) { return sum_of(quad); },
            [&](int, float4 v) {
              finish_quad<kEpilogue>(e, row, tile.column + in_column + 16 * g, v);
            });
      }
    }
  } else if (terms::are_used<kEpilogue>(e)) {
    terms::finish_part<kColumns, 1, Part::kQuads>(e, terms, row, tile.column + first, in_row, first,
                                                  [&](int, int quad) { return sum_of(quad); });
  } else if (row < e.m) {
#pragma unroll 4
    for (int quad = 0; quad < Part::kQuads; ++quad) {
      finish_quad<kEpilogue>(e, row, tile.column + in_column + 16 * quad, sum_of(quad));
    }
  }
}

template <int kColumns, int kSplits, GemmEpilogue kEpilogue>
__device__ __forceinline__ void finish_split(const float (&sums)[kColumns / 2], const GemmShape& s,
                                             const Place& p, const Ring& ring,
                                             const EpilogueOperands& e, const Tile& tile) {
  exchange_parts<kColumns, kSplits>(sums, s, p, ring.a);
  finish_part<kColumns, kSplits, kEpilogue>(p, ring, e, tile);
}

template <int kColumns, GemmEpilogue kEpilogue>
__device__ __forceinline__ void finish_whole(const float (&sums)[kColumns / 2], const Ring& ring,
                                             const EpilogueOperands& e, const Tile& tile) {
  const terms::Place<kColumns> terms{ring.terms};
  if constexpr (terms::kHasBias<kEpilogue>) {
    const int lane = static_cast<int>(threadIdx.x) % 4;
    const terms::Norm<kColumns, 2> norm(terms, tile.in_row, 4 * lane);
#pragma unroll
    for (int g = 0; g < kColumns / 16; ++g) {
      norm.apply(
          g, [&](int half, int quad) { return quad_of(sums, quad, half); },
          [&](int half, float4 v) {
            const int row = tile.thread_row() + 8 * half;
            if (row < e.m) {
              finish_quad<kEpilogue>(e, row, tile.column + 4 * lane + 16 * g, v);
            }
          });
    }
  } else if (terms::are_used<kEpilogue>(e)) {
    terms::finish_part<kColumns, 2, kColumns / 16>(
        e, terms, tile.thread_row(), tile.column, tile.in_row, 0,
        [&](int half, int g) { return quad_of(sums, g, half); });
  } else {
    finish_rows<kEpilogue>(e, tile.thread_row(), tile.column, sums);
  }
}

template <int kColumns, GemmEpilogue kEpilogue>
__device__ __forceinline__ void start_tile(const EpilogueOperands& e, const Place& p,
                                           const Tile& tile, float (&sums)[kColumns / 2]) {
  if constexpr (kEpilogue == GemmEpilogue::kResidual) {
    start_rows<kEpilogue>(e, tile.thread_row(), tile.column, p.in_k == 0, sums);
  } else {
#pragma unroll
    for (float& sum : sums) {
      sum = 0;
    }
  }
}

template <int kColumns, GemmEpilogue kEpilogue>
__device__ __forceinline__ void compute_tiles(const GemmShape& s, const Place& p, const Ring& ring,
                                              const EpilogueOperands& e) {
  const int group = static_cast<int>(threadIdx.x) / 128;
  const int tiles = s.row_tiles / s.cluster_m * (s.column_tiles / s.cluster_n);
  const int size = s.cluster_m * s.cluster_n * s.split_k;
  // Gated products are wide: nothing to split.
  constexpr bool kCanSplit = kEpilogue != GemmEpilogue::kSwiGlu;
  int stage = 0;
  uint32_t phase = 0;
  wait_for_producers();  // for the residual, and before anything is written
  for (int i = p.cluster; i < tiles; i += p.clusters) {
    float sums[kColumns / 2];
    const Tile tile = tile_at(s, p, i, kColumns);
    start_tile<kColumns, kEpilogue>(e, p, tile, sums);
    multiply<kColumns>(sums, s, p, ring, group, tile.row + group * 64 < e.m, stage, phase);
    const bool has_terms = terms::are_used<kEpilogue>(e);
    if (has_terms) {
      terms::wait_until_ready();
    }
    if (kCanSplit && s.split_k == 2) {
      finish_split<kColumns, 2, kEpilogue>(sums, s, p, ring, e, tile);
      return;
    }
    if constexpr (kCanSplit && kEpilogue != GemmEpilogue::kHeadRope) {
      if (s.split_k == 4) {
        finish_split<kColumns, 4, kEpilogue>(sums, s, p, ring, e, tile);
        return;
      }
    }
    const bool is_last = i + p.clusters >= tiles;
    if (size > 1 && is_last) {
      hopper::cluster_arrive();
    }
    finish_whole<kColumns, kEpilogue>(sums, ring, e, tile);
    if (has_terms && !is_last) {
      terms::say_read();
    }
  }
  if (size > 1) {
    hopper::cluster_wait();
  }
}

// The work of the warp of terms. Blocks that split the depth have one tile.
template <int kColumns, GemmEpilogue kEpilogue>
__device__ __forceinline__ void fetch_terms(const GemmShape& s, const Place& p, const Ring& ring,
                                            const EpilogueOperands& e) {
  if (!terms::are_used<kEpilogue>(e)) {
    return;
  }
  const terms::Place<kColumns> to{ring.terms};
  const int tiles = s.row_tiles / s.cluster_m * (s.column_tiles / s.cluster_n);
  for (int i = p.cluster; i < tiles; i += p.clusters) {
    const Tile tile = tile_at(s, p, i, kColumns);
    if (i != p.cluster) {
      terms::wait_until_read();
    }
    terms::fetch_columns<kColumns, kEpilogue>(e, to, tile.column);
    if (i == p.cluster) {
      wait_for_producers();
    }
    terms::fetch_rows<kColumns, kEpilogue>(e, to, tile.row, tile.column == 0 && p.in_k == 0);
    terms::say_ready();
  }
}

}  // namespace sm90

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

template <int kColumns, GemmEpilogue kEpilogue>
__global__ void __launch_bounds__(kGemmThreads, gemm_blocks_per_sm(kColumns))
    gemm_sm90(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap w_map,
              const __grid_constant__ GemmShape shape,
              const __grid_constant__ EpilogueOperands operands) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(1024) uint8_t shared[];
  const uint32_t base = hopper::shared_address(shared);
  const auto stages = static_cast<uint32_t>(shape.stages);
  sm90::Ring ring{};
  ring.a = base;
  ring.w = base + stages * kGemmRows * kRowBytes;
  ring.full = ring.w + stages * kColumns * kRowBytes;
  ring.empty = ring.full + kMaxStages * 8;
  ring.terms = ring.empty + kMaxStages * 8;
  const sm90::Place place = sm90::place_of(shape);
  const int size = shape.cluster_m * shape.cluster_n * shape.split_k;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  release_consumers();
  if (threadIdx.x == 0) {
    hopper::prefetch_map(&a_map);
    hopper::prefetch_map(&w_map);
    const auto arrivals = static_cast<uint32_t>(8 * (shape.cluster_m + shape.cluster_n - 1));
    for (uint32_t i = 0; i < stages; ++i) {
      hopper::barrier_init(ring.full + i * 8, 1);
      hopper::barrier_init(ring.empty + i * 8, arrivals);
    }
    hopper::barrier_init_fence();
  }
  __syncthreads();
  if (size > 1) {
    hopper::cluster_arrive();
    hopper::cluster_wait();
  }
  if (warp * 32 < kGemmConsumers) {
    sm90::compute_tiles<kColumns, kEpilogue>(shape, place, ring, operands);
  } else {
    if (warp * 32 > kGemmConsumers) {
      sm90::fetch_terms<kColumns, kEpilogue>(shape, place, ring, operands);
    } else if (threadIdx.x == kGemmConsumers) {
      sm90::copy_tiles<kColumns, kEpilogue == GemmEpilogue::kSwiGlu>(a_map, w_map, shape, place,
                                                                     ring);
    }
    __syncwarp();
    if (shape.split_k > 1) {  // as exchange_parts()
      hopper::cluster_arrive();
      hopper::cluster_wait();
    }
    if (size > 1) {
      // A block stays until nobody writes into it any more.
      hopper::cluster_arrive();
      hopper::cluster_wait();
    }
  }
#endif
}

}  // namespace sinew::cuda
