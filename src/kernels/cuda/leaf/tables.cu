// Tables computed from numbers alone, at load: the two time sinusoids and the rotary cosines and
// sines. Each f32 operation of their definition (spec/model.md sections 5.3, 7.2, 8.1) is rounded
// where the definition rounds it; exponentials, powers, sines and cosines are computed in double
// and rounded once, so that they are the correctly rounded ones.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

namespace sinew::cuda {
namespace {

constexpr int kThreads = 128;
constexpr double kLn10000 = 9.210340371976184;

__device__ int64_t item() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

__device__ float exact_exp(float x) {
  return static_cast<float>(exp(static_cast<double>(x)));
}

__device__ float frequency(const ops::SinusoidAttributes& attributes, int64_t i) {
  const auto index = static_cast<float>(i);
  if (attributes.form == ops::SinusoidForm::kSinCosExclusive) {
    const auto step = static_cast<float>(kLn10000 / static_cast<double>(attributes.half));
    return exact_exp(-(index * step));
  }
  const float product = static_cast<float>(-kLn10000) * index;
  return exact_exp(product / static_cast<float>(attributes.half - 1));
}

__global__ void __launch_bounds__(kThreads)
    time_sinusoid(ops::SinusoidAttributes attributes, RealResult y) {
  const int64_t i = item();
  if (i >= attributes.half) {
    return;
  }
  const bool sin_first = attributes.form == ops::SinusoidForm::kSinCosExclusive;
  const auto angle =
      static_cast<double>(static_cast<float>(attributes.time) * frequency(attributes, i));
  store(y, i + (sin_first ? 0 : attributes.half), static_cast<float>(sin(angle)));
  store(y, i + (sin_first ? attributes.half : 0), static_cast<float>(cos(angle)));
}

__global__ void __launch_bounds__(kThreads)
    rope_table(ops::RopeTableAttributes attributes, RealResult cosines, RealResult sines) {
  const int64_t half = attributes.head_dim / 2;
  const int64_t i = item();
  if (i >= attributes.positions * half) {
    return;
  }
  const float exponent =
      static_cast<float>(2 * (i % half)) / static_cast<float>(attributes.head_dim);
  const auto power = static_cast<float>(pow(
      static_cast<double>(static_cast<float>(attributes.theta)), static_cast<double>(exponent)));
  float inverse = 1.0F / power;
  if (attributes.rounding == ops::FrequencyRounding::kBf16) {
    inverse = __bfloat162float(__float2bfloat16_rn(inverse));
  }
  const auto angle =
      static_cast<double>(static_cast<float>(attributes.first_position + i / half) * inverse);
  store(cosines, i, static_cast<float>(cos(angle)));
  store(sines, i, static_cast<float>(sin(angle)));
}

}  // namespace

Status launch_time_sinusoid(const ops::SinusoidAttributes& attributes, const RealResult& y,
                            Stream stream) {
  if (attributes.half == 0) {
    return {};
  }
  time_sinusoid<<<block_count(attributes.half, kThreads), kThreads, 0, stream>>>(attributes, y);
  return launch_status("time_sinusoid");
}

Status launch_rope_table(const ops::RopeTableAttributes& attributes, const RealResult& cos,
                         const RealResult& sin, Stream stream) {
  const int64_t n = attributes.positions * (attributes.head_dim / 2);
  if (n == 0) {
    return {};
  }
  rope_table<<<block_count(n, kThreads), kThreads, 0, stream>>>(attributes, cos, sin);
  return launch_status("rope_table");
}

}  // namespace sinew::cuda
