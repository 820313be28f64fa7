// What the end of a tile needs beside its sums, in the sm_90 body: bias, and what norms applied
// behind products are made of (gemm.h). A warp of its own fetches it while the tile is multiplied,
// into shared memory: loaded by the threads that compute, at either end of a tile, it cost 1 to 3
// us a product.
//
// Rows are rounded to bf16 less a centre, the mean that the same row had one norm before: without
// it, rounding would cost mean / deviation times as much as it does in a norm. The same centre lets
// a variance be what the sum of squares leaves.
#pragma once

#include "kernels/cuda/fused/gemm_epilogue.cuh"
#include "kernels/cuda/fused/launch.cuh"

namespace sinew::cuda::terms {

// Of column c: bias and gain, or for kResidual the next norm's weight. Of row r: mean and
// 1 / deviation, or for kResidual the centre. f32 [2, kColumns], [2, kTileRows].
constexpr int kTileRows = 128;

template <int kColumns>
struct Place {
  uint32_t base;

  __device__ uint32_t column(int which, int c) const {
    return base + static_cast<uint32_t>(which * kColumns + c) * 4;
  }

  __device__ uint32_t row(int which, int r) const {
    return base + static_cast<uint32_t>(2 * kColumns + which * kTileRows + r) * 4;
  }
};

template <GemmEpilogue kEpilogue>
constexpr bool kHasBias =
    kEpilogue == GemmEpilogue::kBias || kEpilogue == GemmEpilogue::kGeluTanh ||
    kEpilogue == GemmEpilogue::kGeluErf;

// Whether tiles have terms at all: alike for all threads.
template <GemmEpilogue kEpilogue>
__device__ __forceinline__ bool are_used(const EpilogueOperands& e) {
  return kHasBias<kEpilogue> || (kEpilogue == GemmEpilogue::kResidual && e.ahead.rows != nullptr);
}

// Barriers 1 and 2 between this warp and those that compute: terms are there, terms were read.
constexpr int kThreads = 256 + 32;

__device__ __forceinline__ void say_ready() {
  asm volatile("bar.arrive 1, %0;" ::"n"(kThreads) : "memory");
}

__device__ __forceinline__ void wait_until_ready() {
  asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
}

__device__ __forceinline__ void say_read() {
  asm volatile("bar.arrive 2, %0;" ::"n"(kThreads) : "memory");
}

__device__ __forceinline__ void wait_until_read() {
  asm volatile("bar.sync 2, %0;" ::"n"(kThreads) : "memory");
}

__device__ __forceinline__ float load_shared(uint32_t address) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(address) : "memory");
  return v;
}

__device__ __forceinline__ float4 load_shared_4(uint32_t address) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(address)
               : "memory");
  return v;
}

__device__ __forceinline__ void store_shared(uint32_t address, float v) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(v) : "memory");
}

__device__ __forceinline__ void store_shared_4(uint32_t address, float4 v) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(v.x), "f"(v.y),
               "f"(v.z), "f"(v.w)
               : "memory");
}

// Parameters: these need not wait for earlier kernels.
template <int kColumns, GemmEpilogue kEpilogue>
__device__ __forceinline__ void fetch_columns(const EpilogueOperands& e, Place<kColumns> to,
                                              int column) {
  constexpr bool kIsResidual = kEpilogue == GemmEpilogue::kResidual;
  const float* const first = kIsResidual ? e.ahead.weight : e.bias;
  const float* const second = kIsResidual ? nullptr : e.behind.gain;
  float4 v[2][(kColumns + 127) / 128];
#pragma unroll
  for (int i = 0; i < (kColumns + 127) / 128; ++i) {
    const int c = 128 * i + 4 * (static_cast<int>(threadIdx.x) % 32);
    const bool is_there = c < kColumns && column + c < e.n;
    v[0][i] = load_or_zero(first + column + c, is_there && first != nullptr);
    v[1][i] = load_or_zero(second + column + c, is_there && second != nullptr);
  }
#pragma unroll
  for (int i = 0; i < (kColumns + 127) / 128; ++i) {
    const int c = 128 * i + 4 * (static_cast<int>(threadIdx.x) % 32);
    if (c < kColumns) {
      store_shared_4(to.column(0, c), v[0][i]);
      store_shared_4(to.column(1, c), v[1][i]);
    }
  }
}

// Centres, of which there is nothing to make.
template <int kColumns>
__device__ __forceinline__ void fetch_centres(const EpilogueOperands& e, Place<kColumns> to,
                                              int row) {
  float centres[kTileRows / 32];
#pragma unroll
  for (int i = 0; i < kTileRows / 32; ++i) {
    const int r = 32 * i + static_cast<int>(threadIdx.x) % 32;
    centres[i] = row + r < e.m ? __ldcg(e.ahead.centres + row + r) : 0.0F;
  }
#pragma unroll
  for (int i = 0; i < kTileRows / 32; ++i) {
    store_shared(to.row(0, 32 * i + static_cast<int>(threadIdx.x) % 32), centres[i]);
  }
}

template <int kColumns>
__device__ __forceinline__ void store_row(const EpilogueOperands& e, Place<kColumns> to, int row,
                                          int r, float sum, float squares, bool moves_centre) {
  const float share = 1.0F / static_cast<float>(e.k);
  const float mean = sum * share;
  const float variance = fmaxf(squares * share - mean * mean, 0.0F);
  store_shared(to.row(0, r), mean);
  store_shared(to.row(1, r), rsqrtf(variance + e.behind.epsilon));
  if (moves_centre && row + r < e.m) {
    float* const centre = e.behind.centres + row + r;
    *centre = __ldcg(centre) + mean;
  }
}

// Mean and 1 / deviation of rows, whose parts are added in their order: a lane has rows 2 lane,
// 2 lane + 1 and those 64 further down. Rows past the last are numbers of no meaning.
template <int kColumns>
__device__ __forceinline__ void fetch_statistics(const EpilogueOperands& e, Place<kColumns> to,
                                                 int row, bool moves_centre) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int kAtOnce = 6;
  static_assert(kMostRowParts % kAtOnce == 0);
  const int stride = (e.m + 127) / 128 * 64;  // of a part, in float4
  const auto* const from = reinterpret_cast<const float4*>(e.behind.statistics) + row / 2 + lane;
  float4 sums[2] = {};  // {sum, squares} of two rows
#pragma unroll 1
  for (int first = 0; first < e.behind.parts; first += kAtOnce) {
    float4 parts[kAtOnce][2];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        parts[i][half] = first + i < e.behind.parts
                             ? __ldcg(from + (first + i) * stride + 32 * half)
                             : float4{0, 0, 0, 0};
      }
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      sums[0] = sums[0] + parts[i][0];
      sums[1] = sums[1] + parts[i][1];
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int r = 64 * half + 2 * lane;
    store_row(e, to, row, r, sums[half].x, sums[half].y, moves_centre);
    store_row(e, to, row, r + 1, sums[half].z, sums[half].w, moves_centre);
  }
}

// The first column tile moves centres on.
template <int kColumns, GemmEpilogue kEpilogue>
__device__ __forceinline__ void fetch_rows(const EpilogueOperands& e, Place<kColumns> to, int row,
                                           bool is_first_column) {
  if (row >= e.m) {
    return;  // a tile that was added for a cluster
  }
  if constexpr (kEpilogue == GemmEpilogue::kResidual) {
    fetch_centres(e, to, row);
  } else if (e.behind.statistics != nullptr) {
    fetch_statistics(e, to, row, is_first_column);
  } else {
    for (int r = static_cast<int>(threadIdx.x) % 32; r < kTileRows; r += 32) {
      store_shared(to.row(0, r), 0);
      store_shared(to.row(1, r), 1);
    }
  }
}

// Applies the norm to a thread's sums, and adds the bias.
template <int kColumns, int kHalves>
struct Norm {
  Place<kColumns> terms;
  int column;  // in the tile, of the first quad
  float scale[kHalves];
  float shift[kHalves];  // by this of the gain

  __device__ Norm(Place<kColumns> place, int row, int first_column)
      : terms(place), column(first_column) {
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      scale[half] = load_shared(place.row(1, row + 8 * half));
      shift[half] = -load_shared(place.row(0, row + 8 * half)) * scale[half];
    }
  }

  // `done(half, value)` for quad g of each row.
  template <class Quad, class Done>
  __device__ void apply(int g, const Quad& quad, const Done& done) const {
    const float4 bias = load_shared_4(terms.column(0, column + 16 * g));
    const float4 gain = load_shared_4(terms.column(1, column + 16 * g));
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      done(half, quad(half, g) * scale[half] + (gain * shift[half] + bias));
    }
  }
};

__device__ __forceinline__ float sum_of_quad(float v) {
  v += __shfl_xor_sync(0xFFFFFFFFU, v, 1);
  v += __shfl_xor_sync(0xFFFFFFFFU, v, 2);
  return v;
}

// The sums of kHalves rows in a part of the tile, for the next product: themselves, less the centre
// and weighted in bf16, and their statistics. `quad(half, g)` are a thread's; `in_row` and
// `in_column` of the tile are its first row's and the part's.
template <int kColumns, int kHalves, int kQuads, class Quad>
__device__ __forceinline__ void finish_part(const EpilogueOperands& e, Place<kColumns> terms,
                                            int row, int column, int in_row, int in_column,
                                            const Quad& quad) {
  const NormAhead& ahead = e.ahead;
  const int lane = static_cast<int>(threadIdx.x) % 4;
  const int columns = e.n - column;  // none where tiles were added for a cluster
  float centre[kHalves];
  float sum[kHalves] = {};
  float squares[kHalves] = {};
#pragma unroll
  for (int half = 0; half < kHalves; ++half) {
    centre[half] = load_shared(terms.row(0, in_row + 8 * half));
  }
#pragma unroll
  for (int g = 0; g < kQuads; ++g) {
    if (16 * g < columns) {
      const float4 weight = load_shared_4(terms.column(0, in_column + 16 * g + 4 * lane));
#pragma unroll
      for (int half = 0; half < kHalves; ++half) {
        const float4 whole = quad(half, g);
        const float4 v = whole + -centre[half];
        sum[half] += (v.x + v.y) + (v.z + v.w);
        squares[half] += (v.x * v.x + v.y * v.y) + (v.z * v.z + v.w * v.w);
        if (row + 8 * half < e.m) {
          const int64_t at =
              static_cast<int64_t>(row + 8 * half) * e.n + column + 16 * g + 4 * lane;
          *reinterpret_cast<float4*>(static_cast<float*>(e.out) + at) = whole;
          store_bf16(ahead.rows, at, v * weight);
        }
      }
    }
  }
#pragma unroll
  for (int half = 0; half < kHalves; ++half) {
    sum[half] = sum_of_quad(sum[half]);
    squares[half] = sum_of_quad(squares[half]);
    if (lane == 0 && row + 8 * half < e.m && columns > 0) {
      const int64_t part = column / (16 * kQuads);
      const int64_t stride = (e.m + 127) / 128 * 128;
      *reinterpret_cast<float2*>(ahead.statistics + 2 * (part * stride + row + 8 * half)) =
          make_float2(sum[half], squares[half]);
    }
  }
}

}  // namespace sinew::cuda::terms
