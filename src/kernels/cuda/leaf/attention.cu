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

// kColumns: 32-column parts of a head, at least ceil(e / 32)
template <int kColumns>
__global__ void __launch_bounds__(kThreads) attention(Operands o) {
  extern __shared__ float shared[];
  const AttentionShape& s = o.shape;
  const int e = static_cast<int>(s.head_dim);
  const int key_stride = e + 1;  // lanes read one column of 32 keys: no two in one bank
  float* keys = shared;
  float* values = keys + kKeys * key_stride;
  float* queries = values + kKeys * e;

  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kQueries;
  const int64_t head = blockIdx.y;
  const int64_t segment = blockIdx.z;
  const int64_t q_stride = s.attributes.heads * s.head_dim;
  const int64_t kv_stride = s.attributes.kv_heads * s.head_dim;
  const int64_t kv_head = head / (s.attributes.heads / s.attributes.kv_heads);
  const int64_t q_first = (segment * s.queries + first) * q_stride + head * s.head_dim;
  const int64_t kv_first = segment * s.keys * kv_stride + kv_head * s.head_dim;

  for (int i = threadIdx.x; i < kQueries * e; i += kThreads) {
    const int row = i / e;
    queries[i] = first + row < s.queries
                     ? operand(o.q, q_first + row * q_stride + i % e, s.rounds_operands)
                     : 0.0F;
  }
  float maximum[kRows], sum[kRows], result[kRows][kColumns];
  for (int r = 0; r < kRows; ++r) {
    maximum[r] = -INFINITY;
    sum[r] = 0;
    for (int c = 0; c < kColumns; ++c) {
      result[r][c] = 0;
    }
  }
  const int64_t end =
      s.attributes.is_causal && first + kQueries < s.keys ? first + kQueries : s.keys;
  for (int64_t tile = 0; tile < end; tile += kKeys) {
    __syncthreads();
    for (int i = threadIdx.x; i < kKeys * e; i += kThreads) {
      const int row = i / e;
      const int column = i % e;
      const int64_t at = kv_first + (tile + row) * kv_stride + column;
      const bool is_there = tile + row < s.keys;
      keys[row * key_stride + column] = is_there ? operand(o.k, at, s.rounds_operands) : 0.0F;
      values[i] = is_there ? operand(o.v, at, s.rounds_operands) : 0.0F;
    }
    __syncthreads();
    float score[kRows] = {};
    const float* key = keys + lane * key_stride;
    const float* query = queries + warp * kRows * e;
    for (int i = 0; i < e; ++i) {
      const float k = key[i];
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        score[r] += query[r * e + i] * k;
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = first + warp * kRows + r;
      const bool is_seen = tile + lane < s.keys && (!s.attributes.is_causal || tile + lane <= row);
      const float scaled = is_seen ? score[r] * s.attributes.scale : -INFINITY;
      const float larger = fmaxf(maximum[r], warp_max(scaled));
      // The first tile holds a key that every query sees, so `larger` is finite from then on.
      const float kept = expf(maximum[r] - larger);
      score[r] = expf(scaled - larger);
      sum[r] = sum[r] * kept + warp_sum(score[r]);
      maximum[r] = larger;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        result[r][c] *= kept;
      }
    }
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
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int64_t row = warp * kRows + r;
    if (first + row < s.queries) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int column = c * kWarp + lane;
        if (column < e) {
          store(o.y, q_first + row * q_stride + column, result[r][c] / sum[r]);
        }
      }
    }
  }
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
