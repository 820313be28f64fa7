// What happens to the sums of a product before they leave the registers. Both bodies hold sums as
// tensor instructions leave them, with one twist: rows of w lie in shared memory in an order that
// gives each thread four neighbouring columns of every 16.
//
// sums of a group g of 16 rows of w and row half h (rows lane / 4 + 8 h of 16):
//   sums[8 g + 2 h], [8 g + 2 h + 1], [8 g + 4 + 2 h], [8 g + 5 + 2 h]
// are columns 16 g + 4 (lane % 4) + 0..3. For kSwiGlu, where w is read as gate and up rows in turn,
// the 8 sums of two groups are gate and up of columns 16 (g / 2) + 4 (lane % 4) + 0..3 of out.
#pragma once

#include "kernels/cuda/fused/gemm.h"

#include <cuda_bf16.h>

#include <cstdint>

namespace sinew::cuda {

struct EpilogueOperands {
  int m = 0;
  int n = 0;
  const float* bias = nullptr;
  const float* residual = nullptr;
  void* out = nullptr;
  HeadRope head_rope{};
  GemmParts parts{};
  int k = 0;
  NormBehind behind{};
  NormAhead ahead{};
};

__device__ __forceinline__ float gelu_tanh(float x) {
  // One special function a value where an exponential and a division are two: their unit is the
  // bottleneck of a wide tile's end. Its 2^-11 vanishes in the result's rounding to bf16.
  float t;
  asm("tanh.approx.f32 %0, %1;" : "=f"(t) : "f"(0.7978845608F * (x + 0.044715F * x * x * x)));
  return fmaf(0.5F * x, t, 0.5F * x);
}

__device__ __forceinline__ float gelu_erf(float x) {
  return 0.5F * x * (1.0F + erff(x * 0.7071067812F));
}

__device__ __forceinline__ float silu(float x) {
  return __fdividef(x, 1.0F + __expf(-x));
}

__device__ __forceinline__ uint32_t bf16_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const uint32_t&>(pair);
}

__device__ __forceinline__ void store_bf16(void* out, int64_t index, float4 v) {
  const uint2 bits{bf16_pair(v.x, v.y), bf16_pair(v.z, v.w)};
  *reinterpret_cast<uint2*>(static_cast<__nv_bfloat16*>(out) + index) = bits;
}

template <int kSums>
__device__ __forceinline__ float4 quad_of(const float (&sums)[kSums], int group, int half) {
  const int first = 8 * group + 2 * half;
  return {sums[first], sums[first + 1], sums[first + 4], sums[first + 5]};
}

template <GemmEpilogue kEpilogue>
__device__ __forceinline__ float4 activate(float4 v) {
  if constexpr (kEpilogue == GemmEpilogue::kGeluTanh) {
    return {gelu_tanh(v.x), gelu_tanh(v.y), gelu_tanh(v.z), gelu_tanh(v.w)};
  } else if constexpr (kEpilogue == GemmEpilogue::kGeluErf) {
    return {gelu_erf(v.x), gelu_erf(v.y), gelu_erf(v.z), gelu_erf(v.w)};
  } else {
    return v;
  }
}

__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}

__device__ __forceinline__ float4 operator+(float4 a, float b) {
  return {a.x + b, a.y + b, a.z + b, a.w + b};
}

__device__ __forceinline__ float4 operator*(float4 a, float b) {
  return {a.x * b, a.y * b, a.z * b, a.w * b};
}

__device__ __forceinline__ float4 operator*(float4 a, float4 b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w};
}

__device__ __forceinline__ float4 load_or_zero(const float* from, bool is_there) {
  float4 v;
  asm("{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %5, 0;\n"
      "mov.b32 %0, 0;\n"
      "mov.b32 %1, 0;\n"
      "mov.b32 %2, 0;\n"
      "mov.b32 %3, 0;\n"
      "@p ld.global.v4.f32 {%0, %1, %2, %3}, [%4];\n"
      "}\n"
      : "=&f"(v.x), "=&f"(v.y), "=&f"(v.z), "=&f"(v.w)
      : "l"(from), "r"(static_cast<int>(is_there))
      : "memory");
  return v;
}

// Sums begin with what is added to them: the loads hide behind the first copies of the tile, and
// nothing is left to wait for at its end. No branches: all loads are under way at once.
template <GemmEpilogue kEpilogue, int kSums>
__device__ __forceinline__ void start_rows(const EpilogueOperands& e, int row, int column,
                                           bool is_first_split, float (&sums)[kSums]) {
  const bool has_bias = e.bias != nullptr && is_first_split;
  const bool has_residual = e.residual != nullptr && is_first_split;
  column += 4 * (static_cast<int>(threadIdx.x) % 4);
  const int64_t index = static_cast<int64_t>(row) * e.n + column;
#pragma unroll
  for (int g = 0; g < kSums / 8; ++g) {
    float4 v[2] = {};
    if constexpr (kEpilogue == GemmEpilogue::kResidual) {
      const bool is_column = has_residual && column + 16 * g < e.n;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        v[half] = load_or_zero(e.residual + index + 8 * half * e.n + 16 * g,
                               is_column && row + 8 * half < e.m);
      }
    }
    if constexpr (kEpilogue != GemmEpilogue::kSwiGlu && kEpilogue != GemmEpilogue::kHeadRope) {
      const float4 bias = load_or_zero(e.bias + column + 16 * g, has_bias && column + 16 * g < e.n);
      v[0] = v[0] + bias;
      v[1] = v[1] + bias;
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int first = 8 * g + 2 * half;
      sums[first] = v[half].x;
      sums[first + 1] = v[half].y;
      sums[first + 4] = v[half].z;
      sums[first + 5] = v[half].w;
    }
  }
}

// Four columns of one row.
template <GemmEpilogue kEpilogue>
__device__ __forceinline__ void finish_quad(const EpilogueOperands& e, int row, int column,
                                            float4 v) {
  if (column >= e.n) {
    return;
  }
  const int64_t index = static_cast<int64_t>(row) * e.n + column;
  if constexpr (kEpilogue == GemmEpilogue::kResidual) {
    *reinterpret_cast<float4*>(static_cast<float*>(e.out) + index) = v;
  } else if (kEpilogue == GemmEpilogue::kBias && e.parts.columns > 0) {
    const int part = column / e.parts.columns;
    const int64_t at = static_cast<int64_t>(row - part) * e.parts.columns + column;
    store_bf16(e.parts.out[part], at, v);
  } else {
    store_bf16(e.out, index, activate<kEpilogue>(v));
  }
}

// One row of a whole head.
__device__ __forceinline__ void finish_head(const EpilogueOperands& e, int row, int column,
                                            float4 (&quads)[8]) {
  const HeadRope& rope = e.head_rope;
  const int lane = static_cast<int>(threadIdx.x) % 4;
  const int head = column / 128;
  float squares = 0;
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    const float4 v = quads[g];
    squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  squares += __shfl_xor_sync(0xFFFFFFFFU, squares, 1);
  squares += __shfl_xor_sync(0xFFFFFFFFU, squares, 2);
  if (row >= e.m || column >= e.n) {
    return;
  }
  const int64_t first = static_cast<int64_t>(row) * e.n + column;
  if (head < rope.q_heads + rope.k_heads) {
    const float scale = rsqrtf(squares * (1.0F / 128) + rope.epsilon);
    const float* norm = (head < rope.q_heads ? rope.q_norm : rope.k_norm) + 4 * lane;
    const int64_t angle = static_cast<int64_t>(row) * 64 + 4 * lane;
#pragma unroll
    for (int g = 0; g < 4; ++g) {
      const float4 c = load_or_zero(rope.cos + angle + 16 * g, true);
      const float4 s = load_or_zero(rope.sin + angle + 16 * g, true);
      const float4 low_norm = load_or_zero(norm + 16 * g, true);
      const float4 high_norm = load_or_zero(norm + 64 + 16 * g, true);
      const auto rotate = [scale](float& a, float& b, float a_norm, float b_norm, float cosine,
                                  float sine) {
        const float x = a * scale * a_norm;
        const float y = b * scale * b_norm;
        a = x * cosine - y * sine;
        b = y * cosine + x * sine;
      };
      rotate(quads[g].x, quads[g + 4].x, low_norm.x, high_norm.x, c.x, s.x);
      rotate(quads[g].y, quads[g + 4].y, low_norm.y, high_norm.y, c.y, s.y);
      rotate(quads[g].z, quads[g + 4].z, low_norm.z, high_norm.z, c.z, s.z);
      rotate(quads[g].w, quads[g + 4].w, low_norm.w, high_norm.w, c.w, s.w);
    }
  }
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    store_bf16(e.out, first + 16 * g + 4 * lane, quads[g]);
  }
}

// The sums of a warp's 16 rows: `row` is that of row half 0 of this thread, `column` the tile's
// first row of w.
template <GemmEpilogue kEpilogue, int kSums>
__device__ __forceinline__ void finish_rows(const EpilogueOperands& e, int row, int column,
                                            const float (&sums)[kSums]) {
  const int lane = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half, row += 8) {
    if constexpr (kEpilogue == GemmEpilogue::kHeadRope) {
      static_assert(kSums == 64, "a tile is a head");
      float4 head[8];
#pragma unroll
      for (int g = 0; g < 8; ++g) {
        head[g] = quad_of(sums, g, half);
      }
      finish_head(e, row, column, head);
    } else if constexpr (kEpilogue == GemmEpilogue::kSwiGlu) {
#pragma unroll
      for (int g = 0; g < kSums / 8; g += 2) {
        const int at = column / 2 + 8 * g + 4 * lane;
        if (row < e.m && 2 * at < e.n) {
          float v[4];
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int gate = 8 * g + 4 * i + 2 * half;
            v[i] = silu(sums[gate]) * sums[gate + 1];
          }
          store_bf16(e.out, static_cast<int64_t>(row) * (e.n / 2) + at, {v[0], v[1], v[2], v[3]});
        }
      }
    } else {
#pragma unroll
      for (int g = 0; g < kSums / 8; ++g) {
        if (row < e.m) {
          finish_quad<kEpilogue>(e, row, column + 16 * g + 4 * lane, quad_of(sums, g, half));
        }
      }
    }
  }
}

}  // namespace sinew::cuda
