// layer_norm and rms_norm: y = (x - mean) / sqrt(var + eps) * w + b, or x / sqrt(mean(x^2) + eps) *
// w x [m, d], w and b [d] or absent -> y [m, d] Numerics: f32, mean first and squares of deviations
// after it, each summed a thread at a time, then in one fixed tree. A block a row.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

namespace sinew::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    norm(RealSource x, RealSource w, RealSource b, RealResult y, NormShape shape) {
  __shared__ float scratch[kThreads / kWarp];
  const int64_t first = blockIdx.x * shape.width;
  const float count = static_cast<float>(shape.width);
  const float origin = shape.is_centred ? load(x, first) : 0.0F;
  float mean = 0;  // above the origin
  if (shape.is_centred) {
    float sum = 0;
    for (int64_t i = threadIdx.x; i < shape.width; i += kThreads) {
      sum += load(x, first + i) - origin;
    }
    mean = block_sum<kThreads>(sum, scratch) / count;
  }
  float squares = 0;
  for (int64_t i = threadIdx.x; i < shape.width; i += kThreads) {
    const float deviation = load(x, first + i) - origin - mean;
    squares += deviation * deviation;
  }
  const float variance = block_sum<kThreads>(squares, scratch) / count;
  const float factor = 1.0F / sqrtf(variance + shape.epsilon);
  for (int64_t i = threadIdx.x; i < shape.width; i += kThreads) {
    float value = (load(x, first + i) - origin - mean) * factor;
    if (w.data != nullptr) {
      value *= load(w, i);
    }
    if (b.data != nullptr) {
      value += load(b, i);
    }
    store(y, first + i, value);
  }
}

}  // namespace

Status launch_norm(const RealSource& x, const RealSource& w, const RealSource& b,
                   const RealResult& y, const NormShape& shape, Stream stream) {
  if (shape.rows == 0 || shape.width == 0) {
    return {};
  }
  norm<<<static_cast<unsigned int>(shape.rows), kThreads, 0, stream>>>(x, w, b, y, shape);
  return launch_status("norm");
}

}  // namespace sinew::cuda
