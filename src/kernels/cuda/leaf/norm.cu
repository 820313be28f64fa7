// layer_norm and rms_norm: y = (x - mean) / sqrt(var + eps) * w + b, or x / sqrt(mean(x^2) + eps) *
// w x [m, d], w and b [d] or absent -> y [m, d] Numerics: f32, mean first and squares of deviations
// after it, each summed a thread at a time, then in one fixed tree. A block a row.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

namespace sinew::cuda {
namespace {

constexpr int kThreads = 256;

// kValues: of a row a thread keeps; 0: rows longer than that are read three times.
template <int kValues>
__global__ void __launch_bounds__(kThreads)
    norm(RealSource x, RealSource w, RealSource b, RealResult y, NormShape shape) {
  __shared__ float scratch[kThreads / kWarp];
  const int64_t first = blockIdx.x * shape.width;
  const float count = static_cast<float>(shape.width);
  const float origin = shape.is_centred ? load(x, first) : 0.0F;
  float kept[kValues > 0 ? kValues : 1];
  if constexpr (kValues > 0) {
#pragma unroll
    for (int v = 0; v < kValues; ++v) {
      const int64_t i = threadIdx.x + v * kThreads;
      kept[v] = i < shape.width ? load(x, first + i) : 0.0F;
    }
  }
  // visit(i, value) for this thread's part of the row, in one order
  const auto visit = [&](const auto& each) {
    if constexpr (kValues > 0) {
#pragma unroll
      for (int v = 0; v < kValues; ++v) {
        const int64_t i = threadIdx.x + v * kThreads;
        if (i < shape.width) {
          each(i, kept[v]);
        }
      }
    } else {
      for (int64_t i = threadIdx.x; i < shape.width; i += kThreads) {
        each(i, load(x, first + i));
      }
    }
  };
  float mean = 0;  // above the origin
  if (shape.is_centred) {
    float sum = 0;
    visit([&](int64_t, float value) { sum += value - origin; });
    mean = block_sum<kThreads>(sum, scratch) / count;
  }
  float squares = 0;
  visit([&](int64_t, float value) {
    const float deviation = value - origin - mean;
    squares += deviation * deviation;
  });
  const float variance = block_sum<kThreads>(squares, scratch) / count;
  const float factor = 1.0F / sqrtf(variance + shape.epsilon);
  visit([&](int64_t i, float value) {
    float result = (value - origin - mean) * factor;
    if (w.data != nullptr) {
      result *= load(w, i);
    }
    if (b.data != nullptr) {
      result += load(b, i);
    }
    store(y, first + i, result);
  });
}

}  // namespace

Status launch_norm(const RealSource& x, const RealSource& w, const RealSource& b,
                   const RealResult& y, const NormShape& shape, Stream stream) {
  if (shape.rows == 0 || shape.width == 0) {
    return {};
  }
  const auto body = shape.width <= 8 * kThreads    ? norm<8>
                    : shape.width <= 20 * kThreads ? norm<20>
                                                   : norm<0>;
  body<<<static_cast<unsigned int>(shape.rows), kThreads, 0, stream>>>(x, w, b, y, shape);
  return launch_status("norm");
}

}  // namespace sinew::cuda
