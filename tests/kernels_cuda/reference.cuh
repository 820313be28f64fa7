// What fused CUDA kernels are compared with: the plainest kernels that compute the same, summing in
// double, on the device because CPUs take minutes at full size. Each can round its results to bf16
// as the original does after every operation: that chain's error is the yardstick
// (docs/numerics.md).
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace sinew::reference {

inline void check(cudaError_t error, const char* what, int line) {
  if (error != cudaSuccess) {
    std::fprintf(stderr, "line %d: %s: %s\n", line, what, cudaGetErrorString(error));
    std::exit(2);
  }
}

#define SINEW_CUDA(expr) ::sinew::reference::check((expr), #expr, __LINE__)

// Device memory of n values, poisoned with NaN.
template <class T>
class Array {
 public:
  Array() = default;

  explicit Array(size_t n) : n_(n) {
    SINEW_CUDA(cudaMalloc(&data_, n * sizeof(T)));
    poison();
  }

  Array(Array&& other) noexcept : data_(other.data_), n_(other.n_) { other.data_ = nullptr; }

  Array& operator=(Array&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(n_, other.n_);
    return *this;
  }

  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  ~Array() { cudaFree(data_); }

  void poison() { SINEW_CUDA(cudaMemset(data_, 0xFF, n_ * sizeof(T))); }

  T* get() const { return data_; }

  size_t size() const { return n_; }

  std::vector<T> host() const {
    std::vector<T> v(n_);
    SINEW_CUDA(cudaMemcpy(v.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
  }

 private:
  T* data_ = nullptr;
  size_t n_ = 0;
};

using Bf16 = __nv_bfloat16;

__device__ __forceinline__ float as_float(float x) {
  return x;
}

__device__ __forceinline__ float as_float(Bf16 x) {
  return __bfloat162float(x);
}

// Counter-based, so that every element is its own function of (seed, index): about normal.
template <class T>
__global__ void fill_kernel(T* to, size_t n, uint64_t seed, float scale, float offset) {
  const size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x;
  if (i >= n) {
    return;
  }
  uint64_t z = seed * 0x9E3779B97F4A7C15U + i * 0xBF58476D1CE4E5B9U;
  float sum = 0;
  for (int j = 0; j < 4; ++j) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    sum += static_cast<float>(z >> 40) * (1.0F / 16777216.0F) - 0.5F;
  }
  const float value = offset + scale * sum * 1.7320508F;
  to[i] = static_cast<T>(__bfloat162float(__float2bfloat16_rn(value)));
}

template <class T>
Array<T> random(size_t n, uint64_t seed, float scale, float offset = 0) {
  Array<T> a(n);
  fill_kernel<<<static_cast<unsigned>((n + 255) / 256), 256>>>(a.get(), n, seed, scale, offset);
  SINEW_CUDA(cudaGetLastError());
  return a;
}

__device__ __forceinline__ float rounded(double x, bool to_bf16) {
  const float y = static_cast<float>(x);
  return to_bf16 ? __bfloat162float(__float2bfloat16_rn(y)) : y;
}

// y [m, n] = x [m, k] w [n, k]^T + bias
template <class X>
__global__ void linear_kernel(float* y, const X* x, const Bf16* w, const float* bias, int m, int n,
                              int k, bool to_bf16) {
  __shared__ float xs[16][17];
  __shared__ float ws[16][17];
  const int row = static_cast<int>(blockIdx.y) * 16 + static_cast<int>(threadIdx.y);
  const int column = static_cast<int>(blockIdx.x) * 16 + static_cast<int>(threadIdx.x);
  const int w_row = static_cast<int>(blockIdx.x) * 16 + static_cast<int>(threadIdx.y);
  double sum = 0;
  for (int first = 0; first < k; first += 16) {
    const int i = first + static_cast<int>(threadIdx.x);
    xs[threadIdx.y][threadIdx.x] =
        row < m && i < k ? as_float(x[static_cast<int64_t>(row) * k + i]) : 0.0F;
    ws[threadIdx.y][threadIdx.x] =
        w_row < n && i < k ? as_float(w[static_cast<int64_t>(w_row) * k + i]) : 0.0F;
    __syncthreads();
    for (int j = 0; j < 16; ++j) {
      sum += static_cast<double>(xs[threadIdx.y][j]) * static_cast<double>(ws[threadIdx.x][j]);
    }
    __syncthreads();
  }
  if (row < m && column < n) {
    y[static_cast<int64_t>(row) * n + column] =
        rounded(sum + (bias != nullptr ? static_cast<double>(bias[column]) : 0.0), to_bf16);
  }
}

template <class X>
void linear(float* y, const X* x, const Bf16* w, const float* bias, int64_t m, int64_t n, int64_t k,
            bool to_bf16 = false) {
  const dim3 grid(static_cast<unsigned>((n + 15) / 16), static_cast<unsigned>((m + 15) / 16));
  linear_kernel<<<grid, dim3(16, 16)>>>(y, x, w, bias, static_cast<int>(m), static_cast<int>(n),
                                        static_cast<int>(k), to_bf16);
  SINEW_CUDA(cudaGetLastError());
}

// One thread a row.
__global__ void norm_kernel(float* y, const float* x, const float* weight, const float* bias,
                            int rows, int width, double epsilon, bool to_bf16) {
  const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (row >= rows) {
    return;
  }
  const float* from = x + static_cast<int64_t>(row) * width;
  float* to = y + static_cast<int64_t>(row) * width;
  double mean = 0;
  for (int i = 0; bias != nullptr && i < width; ++i) {
    mean += static_cast<double>(from[i]) / width;
  }
  double variance = 0;
  for (int i = 0; i < width; ++i) {
    const double d = static_cast<double>(from[i]) - mean;
    variance += d * d / width;
  }
  for (int i = 0; i < width; ++i) {
    double v = (static_cast<double>(from[i]) - mean) / sqrt(variance + epsilon);
    if (bias == nullptr) {
      v = static_cast<double>(rounded(v, to_bf16)) * static_cast<double>(weight[i]);
    } else {
      v = v * static_cast<double>(weight[i]) + static_cast<double>(bias[i]);
    }
    to[i] = rounded(v, to_bf16);
  }
}

inline void norm(float* y, const float* x, const float* weight, const float* bias, int64_t rows,
                 int64_t width, double epsilon, bool to_bf16 = false) {
  norm_kernel<<<static_cast<unsigned>((rows + 31) / 32), 32>>>(
      y, x, weight, bias, static_cast<int>(rows), static_cast<int>(width), epsilon, to_bf16);
  SINEW_CUDA(cudaGetLastError());
}

enum class Map { kGeluTanh, kGeluErf, kSilu, kAdd, kMultiply, kCopy };

__global__ void map_kernel(float* y, const float* a, const float* b, size_t n, Map map,
                           bool to_bf16) {
  const size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x;
  if (i >= n) {
    return;
  }
  const auto x = static_cast<double>(a[i]);
  double v = x;
  switch (map) {
    case Map::kGeluTanh:
      v = 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
      break;
    case Map::kGeluErf:
      v = 0.5 * x * (1 + erf(x * 0.7071067811865476));
      break;
    case Map::kSilu:
      v = x / (1 + exp(-x));
      break;
    case Map::kAdd:
      v = x + static_cast<double>(b[i]);
      break;
    case Map::kMultiply:
      v = x * static_cast<double>(b[i]);
      break;
    case Map::kCopy:
      break;
  }
  y[i] = rounded(v, to_bf16);
}

inline void map(float* y, const float* a, const float* b, size_t n, Map what,
                bool to_bf16 = false) {
  map_kernel<<<static_cast<unsigned>((n + 255) / 256), 256>>>(y, a, b, n, what, to_bf16);
  SINEW_CUDA(cudaGetLastError());
}

// Rotates heads of 128: x [t, heads * 128].
__global__ void rope_kernel(float* x, const float* cosines, const float* sines, int tokens,
                            int heads, bool to_bf16) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= tokens * heads * 64) {
    return;
  }
  const int token = i / (heads * 64);
  float* low = x + static_cast<int64_t>(token) * heads * 128 + i / 64 % heads * 128 + i % 64;
  const auto c = static_cast<double>(cosines[token * 64 + i % 64]);
  const auto s = static_cast<double>(sines[token * 64 + i % 64]);
  const auto a = static_cast<double>(low[0]);
  const auto b = static_cast<double>(low[64]);
  low[0] = rounded(a * c - b * s, to_bf16);
  low[64] = rounded(b * c + a * s, to_bf16);
}

inline void rope(float* x, const float* cosines, const float* sines, int64_t tokens, int64_t heads,
                 bool to_bf16 = false) {
  const auto n = static_cast<unsigned>(tokens * heads * 64);
  rope_kernel<<<(n + 127) / 128, 128>>>(x, cosines, sines, static_cast<int>(tokens),
                                        static_cast<int>(heads), to_bf16);
  SINEW_CUDA(cudaGetLastError());
}

struct AttentionShape {
  int segments = 1, queries = 0, keys = 0, heads = 1, kv_heads = 1, head_dim = 0;
  bool is_causal = false;
};

// One block a (query, head, segment); q, k, v and out are dense.
template <class T>
__global__ void attention_kernel(float* out, const T* q, const T* k, const T* v, AttentionShape s,
                                 double scale, bool to_bf16) {
  extern __shared__ double scores[];
  const int query = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int segment = static_cast<int>(blockIdx.z);
  const int kv_head = head / (s.heads / s.kv_heads);
  const int seen = s.is_causal ? query + 1 : s.keys;
  const int64_t q_at = (static_cast<int64_t>(segment) * s.queries + query) * s.heads * s.head_dim +
                       head * s.head_dim;
  const int64_t k_at =
      static_cast<int64_t>(segment) * s.keys * s.kv_heads * s.head_dim + kv_head * s.head_dim;
  const int64_t stride = static_cast<int64_t>(s.kv_heads) * s.head_dim;
  for (int key = static_cast<int>(threadIdx.x); key < seen; key += static_cast<int>(blockDim.x)) {
    double sum = 0;
    for (int i = 0; i < s.head_dim; ++i) {
      sum += static_cast<double>(as_float(q[q_at + i])) *
             static_cast<double>(as_float(k[k_at + key * stride + i]));
    }
    scores[key] = sum * scale;
  }
  __syncthreads();
  double most = -1e300;
  double sum = 0;
  for (int key = 0; key < seen; ++key) {
    most = fmax(most, scores[key]);
  }
  for (int key = 0; key < seen; ++key) {
    sum += exp(scores[key] - most);
  }
  for (int i = static_cast<int>(threadIdx.x); i < s.head_dim; i += static_cast<int>(blockDim.x)) {
    double value = 0;
    for (int key = 0; key < seen; ++key) {
      const double p = exp(scores[key] - most);
      value += (to_bf16 ? static_cast<double>(rounded(p, true)) : p) *
               static_cast<double>(as_float(v[k_at + key * stride + i]));
    }
    out[q_at + i] = rounded(value / sum, to_bf16);
  }
}

template <class T>
void attention(float* out, const T* q, const T* k, const T* v, const AttentionShape& s,
               bool to_bf16 = false) {
  const dim3 grid(static_cast<unsigned>(s.queries), static_cast<unsigned>(s.heads),
                  static_cast<unsigned>(s.segments));
  attention_kernel<<<grid, 64, static_cast<size_t>(s.keys) * sizeof(double)>>>(
      out, q, k, v, s, 1 / std::sqrt(static_cast<double>(s.head_dim)), to_bf16);
  SINEW_CUDA(cudaGetLastError());
}

// || a - b || / || b ||; NaN where anything is NaN.
template <class A, class B>
double distance(const std::vector<A>& a, const std::vector<B>& b) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double d = static_cast<double>(static_cast<float>(a[i])) -
                     static_cast<double>(static_cast<float>(b[i]));
    difference += d * d;
    norm += static_cast<double>(static_cast<float>(b[i])) *
            static_cast<double>(static_cast<float>(b[i]));
  }
  return std::sqrt(difference / norm);
}

}  // namespace sinew::reference
