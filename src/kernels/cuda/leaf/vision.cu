// Images: frames to pixels, pixels to patches, the projector's pixel shuffle, and the position
// table resized to the patch grid (spec/model.md sections 3.1, 3.2 and 4). A thread an element of
// the result.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

namespace sinew::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChannels = 3;

__device__ int64_t item() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

__global__ void __launch_bounds__(kThreads)
    normalize_frames(const uint8_t* levels, RealResult y, int64_t n, int64_t area) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = item(); i < n; i += step) {
    const int64_t pixel = i % area;
    const int64_t channel = i / area % kChannels;
    const int64_t image = i / (area * kChannels);
    const uint8_t level = levels[(image * area + pixel) * kChannels + channel];
    store(y, i, (static_cast<float>(level) - 127.5F) / 127.5F);
  }
}

__global__ void __launch_bounds__(kThreads) patchify(RealSource pixels, RealResult y, int64_t n,
                                                     int64_t height, int64_t width, int64_t patch) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = item(); i < n; i += step) {
    // i = ((((image, row), column), a), b), channel
    const int64_t channel = i % kChannels;
    const int64_t b = i / kChannels % patch;
    const int64_t a = i / (kChannels * patch) % patch;
    const int64_t columns = width / patch;
    const int64_t index = i / (kChannels * patch * patch);
    const int64_t column = index % columns;
    const int64_t row = index / columns % (height / patch);
    const int64_t image = index / columns / (height / patch);
    const int64_t line = (image * kChannels + channel) * height + row * patch + a;
    store(y, i, load(pixels, line * width + column * patch + b));
  }
}

__global__ void __launch_bounds__(kThreads)
    pixel_shuffle(RealSource x, RealResult y, int64_t n, ops::GridAttributes grid, int64_t d) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = item(); i < n; i += step) {
    const int64_t part = i % 4;
    const int64_t c = i / 4 % d;
    const int64_t token = i / (4 * d);
    const int64_t out_columns = grid.columns / 2;
    const int64_t column = 2 * (token % out_columns) + part % 2;
    const int64_t row = 2 * (token / out_columns % (grid.rows / 2)) + part / 2;
    const int64_t image = token / out_columns / (grid.rows / 2);
    store(y, i, load(x, ((image * grid.rows + row) * grid.columns + column) * d + c));
  }
}

// Source positions [low, high) that reach output `o`, and the sum of their weights: bilinear,
// align_corners = false, antialiased when the axis shrinks.
struct Taps {
  double centre, radius, sum;
  int64_t low, high;

  __device__ Taps(int64_t source, int64_t result, int64_t o) {
    const double step = static_cast<double>(source) / static_cast<double>(result);
    radius = step > 1.0 ? step : 1.0;
    centre = step * (static_cast<double>(o) + 0.5);
    low = static_cast<int64_t>(centre - radius + 0.5);
    low = low < 0 ? 0 : low;
    high = static_cast<int64_t>(centre + radius + 0.5);
    high = high > source ? source : high;
    sum = 0;
    for (int64_t i = low; i < high; ++i) {
      sum += raw(i);
    }
  }

  __device__ double raw(int64_t i) const {
    const double distance = (static_cast<double>(i) - centre + 0.5) / radius;
    const double weight = 1.0 - fabs(distance);
    return weight > 0.0 ? weight : 0.0;
  }

  __device__ double weight(int64_t i) const { return raw(i) / sum; }
};

__global__ void __launch_bounds__(kThreads)
    resize_positions(RealSource table, RealResult y, int64_t n, ops::GridAttributes grid,
                     int64_t d) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = item(); i < n; i += step) {
    const int64_t c = i % d;
    const Taps row(grid.patch, grid.rows, i / d / grid.columns);
    const Taps column(grid.patch, grid.columns, i / d % grid.columns);
    double sum = 0;
    for (int64_t a = row.low; a < row.high; ++a) {
      double across = 0;
      for (int64_t b = column.low; b < column.high; ++b) {
        across += column.weight(b) * static_cast<double>(load(table, (a * grid.patch + b) * d + c));
      }
      sum += row.weight(a) * across;
    }
    store(y, i, static_cast<float>(sum));
  }
}

}  // namespace

Status launch_normalize_frames(const uint8_t* levels, const RealResult& y, int64_t images,
                               int64_t area, Stream stream) {
  const int64_t n = images * area * kChannels;
  if (n == 0) {
    return {};
  }
  normalize_frames<<<block_count(n, kThreads), kThreads, 0, stream>>>(levels, y, n, area);
  return launch_status("normalize_frames");
}

Status launch_patchify(const RealSource& pixels, const RealResult& y, int64_t images,
                       int64_t height, int64_t width, int64_t patch, Stream stream) {
  const int64_t n = images * kChannels * height * width;
  if (n == 0) {
    return {};
  }
  patchify<<<block_count(n, kThreads), kThreads, 0, stream>>>(pixels, y, n, height, width, patch);
  return launch_status("patchify");
}

Status launch_pixel_shuffle(const RealSource& x, const RealResult& y, int64_t images,
                            const ops::GridAttributes& grid, int64_t d, Stream stream) {
  const int64_t n = images * grid.rows * grid.columns * d;
  if (n == 0) {
    return {};
  }
  pixel_shuffle<<<block_count(n, kThreads), kThreads, 0, stream>>>(x, y, n, grid, d);
  return launch_status("pixel_shuffle");
}

Status launch_resize_positions(const RealSource& table, const RealResult& y,
                               const ops::GridAttributes& grid, int64_t d, Stream stream) {
  const int64_t n = grid.rows * grid.columns * d;
  if (n == 0) {
    return {};
  }
  resize_positions<<<block_count(n, kThreads), kThreads, 0, stream>>>(table, y, n, grid, d);
  return launch_status("resize_positions");
}

}  // namespace sinew::cuda
