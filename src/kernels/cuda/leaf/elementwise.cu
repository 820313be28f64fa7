// Ops without any sum: activations, broadcast arithmetic, the flow-matching step, conversions.
// Compiled without contraction: every operation rounds by itself, as on the CPU. Bound by launch
// overhead at these sizes.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

#include <cuda_fp16.h>

namespace sinew::cuda {
namespace {

constexpr int kThreads = 256;

// x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3): equal to the tanh form, without its
// cancellation near -1.
struct GeluTanh {
  __device__ float operator()(float x) const {
    const float u = -1.5957691216057308F * (x + 0.044715F * (x * x * x));
    return x / (1.0F + expf(u));
  }
};

struct GeluErf {
  __device__ float operator()(float x) const {
    return 0.5F * x * (1.0F + erff(x * 0.70710678118654752F));
  }
};

struct Silu {
  __device__ float operator()(float x) const { return x / (1.0F + expf(-x)); }
};

struct Relu {
  __device__ float operator()(float x) const { return x < 0.0F ? 0.0F : x; }  // keeps a NaN
};

struct Identity {
  __device__ float operator()(float x) const { return x; }
};

struct Add {
  __device__ float operator()(float x, float a, float) const { return x + a; }
};

struct Mul {
  __device__ float operator()(float x, float a, float) const { return x * a; }
};

struct Modulate {
  __device__ float operator()(float x, float a, float b) const { return x * (1.0F + a) + b; }
};

__device__ int64_t first_item() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

__device__ int64_t item_step() {
  return static_cast<int64_t>(gridDim.x) * kThreads;
}

template <class F>
__global__ void __launch_bounds__(kThreads) unary(RealSource x, RealResult y, int64_t n, F f) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    store(y, i, f(load(x, i)));
  }
}

template <class F>
__global__ void __launch_bounds__(kThreads)
    broadcast(RealSource x, RealSource a, RealSource b, RealResult y, int64_t n, int64_t row, F f) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    const int64_t column = i % row;
    store(y, i, f(load(x, i), load(a, column), b.data == nullptr ? 0.0F : load(b, column)));
  }
}

__global__ void __launch_bounds__(kThreads)
    euler_step(RealSource x, RealSource velocity, float dt, RealResult y, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    const float change = dt * load(velocity, i);
    store(y, i, load(x, i) + change);
  }
}

template <class T>
__device__ float stored_value(T value) {
  return static_cast<float>(value);
}

template <>
__device__ float stored_value(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

template <>
__device__ float stored_value(__half value) {
  return __half2float(value);
}

template <class T>
__global__ void __launch_bounds__(kThreads) convert_parameter(const T* x, RealResult y, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    store(y, i, __bfloat162float(__float2bfloat16_rn(stored_value(x[i]))));
  }
}

template <class F>
Status run_unary(const RealSource& x, const RealResult& y, int64_t n, Stream stream, F f) {
  if (n > 0) {
    unary<<<block_count(n, kThreads), kThreads, 0, stream>>>(x, y, n, f);
    return launch_status("unary");
  }
  return {};
}

template <class T>
Status run_convert(const void* x, const RealResult& y, int64_t n, Stream stream) {
  convert_parameter<<<block_count(n, kThreads), kThreads, 0, stream>>>(static_cast<const T*>(x), y,
                                                                       n);
  return launch_status("convert_parameter");
}

}  // namespace

Status launch_unary(ops::OpKind op, const RealSource& x, const RealResult& y, int64_t n,
                    Stream stream) {
  switch (op) {
    case ops::OpKind::kGeluTanh:
      return run_unary(x, y, n, stream, GeluTanh());
    case ops::OpKind::kGeluErf:
      return run_unary(x, y, n, stream, GeluErf());
    case ops::OpKind::kSilu:
      return run_unary(x, y, n, stream, Silu());
    case ops::OpKind::kRelu:
      return run_unary(x, y, n, stream, Relu());
    default:
      return {Code::kInternal, "launch_unary: no such activation"};
  }
}

Status launch_convert(const RealSource& x, const RealResult& y, int64_t n, Stream stream) {
  return run_unary(x, y, n, stream, Identity());
}

Status launch_broadcast(ops::OpKind op, const RealSource& x, const RealSource& a,
                        const RealSource& b, const RealResult& y, int64_t n, int64_t row,
                        Stream stream) {
  if (n == 0) {
    return {};
  }
  const unsigned int blocks = block_count(n, kThreads);
  if (op == ops::OpKind::kAdd) {
    broadcast<<<blocks, kThreads, 0, stream>>>(x, a, b, y, n, row, Add());
  } else if (op == ops::OpKind::kMul) {
    broadcast<<<blocks, kThreads, 0, stream>>>(x, a, b, y, n, row, Mul());
  } else {
    broadcast<<<blocks, kThreads, 0, stream>>>(x, a, b, y, n, row, Modulate());
  }
  return launch_status("broadcast");
}

Status launch_euler_step(const RealSource& x, const RealSource& velocity, float dt,
                         const RealResult& y, int64_t n, Stream stream) {
  if (n == 0) {
    return {};
  }
  euler_step<<<block_count(n, kThreads), kThreads, 0, stream>>>(x, velocity, dt, y, n);
  return launch_status("euler_step");
}

Status launch_convert_parameter(const void* x, DType stored, const RealResult& y, int64_t n,
                                Stream stream) {
  if (n == 0) {
    return {};
  }
  switch (stored) {
    case DType::kF32:
      return run_convert<float>(x, y, n, stream);
    case DType::kBf16:
      return run_convert<__nv_bfloat16>(x, y, n, stream);
    case DType::kF16:
      return run_convert<__half>(x, y, n, stream);
    case DType::kF64:
      return run_convert<double>(x, y, n, stream);
    default:
      return {Code::kInternal, "launch_convert_parameter: not a float type"};
  }
}

}  // namespace sinew::cuda
