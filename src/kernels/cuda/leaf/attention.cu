// attention: y = softmax(q k^T * scale) v per head, grouped heads, causal or not, in segments
// q [segments * t, h * e], k and v [segments * s, g * e], f32 or bf16 each -> y [segments * t, h *
// e] Needs: e <= 256; any t and s >= 1. y may not alias a source. Numerics: operands rounded to
// bf16 where products are bf16; products, softmax and sums in f32; one pass over the keys with a
// running maximum. Deterministic. Launch: a block of 4 warps takes 16 queries of one head, a warp 4
// of them; keys come through shared memory 32 at a time, a lane scores a key and sums every 32nd
// column of the values. Implements kAttention on every architecture; the plain lowering, not the
// fast one.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

namespace sinew::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kRows = 4;  // queries of a warp
constexpr int kQueries = kWarps * kRows;
constexpr int kKeys = kWarp;

struct Operands {
  RealSource q, k, v;
  RealResult y;
  AttentionShape shape;
};

__device__ float operand(const RealSource& x, int64_t i, bool rounds) {
  const float value = load(x, i);
  return rounds ? __bfloat162float(__float2bfloat16_rn(value)) : value;
}

// Where a block works.
struct Tile {
  int64_t first;     // its first query
  int64_t q_first;   // element of q and y
  int64_t kv_first;  // element of k and v: the first key of its segment
  int64_t q_stride, kv_stride;
  int e;

  __device__ explicit Tile(const AttentionShape& s)
      : first(static_cast<int64_t>(blockIdx.x) * kQueries),
        q_stride(s.attributes.heads * s.head_dim),
        kv_stride(s.attributes.kv_heads * s.head_dim),
        e(static_cast<int>(s.head_dim)) {
    const int64_t head = blockIdx.y;
    const int64_t segment = blockIdx.z;
    const int64_t kv_head = head / (s.attributes.heads / s.attributes.kv_heads);
    q_first = (segment * s.queries + first) * q_stride + head * s.head_dim;
    kv_first = segment * s.keys * kv_stride + kv_head * s.head_dim;
  }
};

// What a block shares. Keys have a stride of e + 1, so that lanes which read one column of 32 keys
// find them in 32 banks.
struct Shared {
  float* keys;     // [32, e + 1]
  float* values;   // [32, e]
  float* queries;  // [16, e]

  __device__ Shared(float* memory, int e)
      : keys(memory), values(keys + kKeys * (e + 1)), queries(values + kKeys * e) {}
};

// Rows beyond the last one are zero.
__device__ void load_queries(const Operands& o, const Tile& tile, const Shared& shared) {
  for (int i = threadIdx.x; i < kQueries * tile.e; i += kThreads) {
    const int row = i / tile.e;
    shared.queries[i] =
        tile.first + row < o.shape.queries
            ? operand(o.q, tile.q_first + row * tile.q_stride + i % tile.e, o.shape.rounds_operands)
            : 0.0F;
  }
}

__device__ void load_keys(const Operands& o, const Tile& tile, const Shared& shared,
                          int64_t first_key) {
  for (int i = threadIdx.x; i < kKeys * tile.e; i += kThreads) {
    const int row = i / tile.e;
    const int column = i % tile.e;
    const int64_t at = tile.kv_first + (first_key + row) * tile.kv_stride + column;
    const bool is_there = first_key + row < o.shape.keys;
    shared.keys[row * (tile.e + 1) + column] =
        is_there ? operand(o.k, at, o.shape.rounds_operands) : 0.0F;
    shared.values[i] = is_there ? operand(o.v, at, o.shape.rounds_operands) : 0.0F;
  }
}

// A warp's queries: running maximum and sum of the softmax, and every 32nd column of the result.
// kColumns: such columns of a lane, at least ceil(e / 32).
template <int kColumns>
struct Rows {
  float maximum[kRows], sum[kRows], result[kRows][kColumns];
  float score[kRows];  // of the lane's key; its softmax numerator after weigh()

  __device__ Rows() {
    for (int r = 0; r < kRows; ++r) {
      maximum[r] = -INFINITY;
      sum[r] = 0;
      for (int c = 0; c < kColumns; ++c) {
        result[r][c] = 0;
      }
    }
  }

  __device__ void score_keys(const float* key, const float* queries, int e) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      score[r] = 0;
    }
    for (int i = 0; i < e; ++i) {
      const float k = key[i];
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        score[r] += queries[r * e + i] * k;
      }
    }
  }

  // `key` is the lane's, `row` the warp's first query.
  __device__ void weigh(const AttentionShape& s, int64_t key, int64_t row) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const bool is_seen = key < s.keys && (!s.attributes.is_causal || key <= row + r);
      const float scaled = is_seen ? score[r] * s.attributes.scale : -INFINITY;
      // The first tile holds a key that every query sees, so this is finite from then on.
      const float larger = fmaxf(maximum[r], warp_max(scaled));
      const float kept = expf(maximum[r] - larger);
      score[r] = expf(scaled - larger);
      sum[r] = sum[r] * kept + warp_sum(score[r]);
      maximum[r] = larger;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        result[r][c] *= kept;
      }
    }
  }

  __device__ void add_values(const float* values, int e) {
    const int lane = threadIdx.x % kWarp;
    for (int j = 0; j < kKeys; ++j) {
      float weight[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        weight[r] = __shfl_sync(0xffffffffU, score[r], j);
      }
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int column = c * kWarp + lane;
        const float value = column < e ? values[j * e + column] : 0.0F;
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          result[r][c] += weight[r] * value;
        }
      }
    }
  }

  // `row`: of the warp's first query in the block.
  __device__ void write(const Operands& o, const Tile& tile, int row) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int column = c * kWarp + static_cast<int>(threadIdx.x % kWarp);
        if (tile.first + row + r < o.shape.queries && column < tile.e) {
          store(o.y, tile.q_first + (row + r) * tile.q_stride + column, result[r][c] / sum[r]);
        }
      }
    }
  }
};

template <int kColumns>
__global__ void __launch_bounds__(kThreads) attention(Operands o) {
  extern __shared__ float memory[];
  const Tile tile(o.shape);
  const Shared shared(memory, tile.e);
  const int lane = threadIdx.x % kWarp;
  const int row = static_cast<int>(threadIdx.x) / kWarp * kRows;
  load_queries(o, tile, shared);
  Rows<kColumns> rows;
  const int64_t seen = tile.first + kQueries;
  const int64_t end = o.shape.attributes.is_causal && seen < o.shape.keys ? seen : o.shape.keys;
  for (int64_t key = 0; key < end; key += kKeys) {
    __syncthreads();
    load_keys(o, tile, shared, key);
    __syncthreads();
    rows.score_keys(shared.keys + lane * (tile.e + 1), shared.queries + row * tile.e, tile.e);
    rows.weigh(o.shape, key + lane, tile.first + row);
    rows.add_values(shared.values, tile.e);
  }
  rows.write(o, tile, row);
}

using AttentionKernel = void (*)(Operands);

AttentionKernel kernel_for(int64_t head_dim) {
  const int64_t columns = (head_dim + kWarp - 1) / kWarp;
  if (columns <= 1) {
    return attention<1>;
  }
  if (columns <= 2) {
    return attention<2>;
  }
  if (columns <= 3) {
    return attention<3>;
  }
  return columns <= 4 ? attention<4> : attention<8>;
}

size_t shared_bytes(int64_t head_dim) {
  const int64_t floats = kKeys * (head_dim + 1) + kKeys * head_dim + kQueries * head_dim;
  return static_cast<size_t>(floats) * sizeof(float);
}

}  // namespace

Status prepare_attention(const AttentionShape& shape) {
  return call_status(
      cudaFuncSetAttribute(kernel_for(shape.head_dim), cudaFuncAttributeMaxDynamicSharedMemorySize,
                           static_cast<int>(shared_bytes(kMaxHeadDim))),
      "attention: shared memory");
}

Status launch_attention(const RealSource& q, const RealSource& k, const RealSource& v,
                        const RealResult& y, const AttentionShape& shape, Stream stream) {
  if (shape.queries == 0) {
    return {};
  }
  const dim3 grid(static_cast<unsigned int>((shape.queries + kQueries - 1) / kQueries),
                  static_cast<unsigned int>(shape.attributes.heads),
                  static_cast<unsigned int>(shape.attributes.segments));
  kernel_for(shape.head_dim)<<<grid, kThreads, shared_bytes(shape.head_dim), stream>>>(
      {q, k, v, y, shape});
  return launch_status("attention");
}

}  // namespace sinew::cuda
