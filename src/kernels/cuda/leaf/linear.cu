// y = x w^T + bias or x w + bias, for shapes that cuBLASLt has no kernel for (odd rows of bf16)
// x [m, k], w [n, k] or [k, n], bias [n]? -> y [m, n]; f32 or bf16 each, sums in f32
// Launch: a block computes 16 x 16 results through shared memory. Slow, and never on the path of a
// full-size network.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

namespace sinew::cuda {
namespace {

constexpr int kTile = 16;

__global__ void __launch_bounds__(kTile* kTile)
    plain_linear(RealSource x, RealSource w, RealSource bias, RealResult y, ProductShape shape) {
  __shared__ float xs[kTile][kTile + 1];
  __shared__ float ws[kTile][kTile + 1];
  const int64_t row = static_cast<int64_t>(blockIdx.y) * kTile + threadIdx.y;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  const int64_t w_row = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.y;
  float sum = 0;
  for (int64_t first = 0; first < shape.inputs; first += kTile) {
    const int64_t i = first + threadIdx.x;
    xs[threadIdx.y][threadIdx.x] =
        row < shape.rows && i < shape.inputs ? load(x, row * shape.inputs + i) : 0.0F;
    if (shape.weights_in_out) {
      const int64_t j = first + threadIdx.y;
      ws[threadIdx.x][threadIdx.y] =
          column < shape.outputs && j < shape.inputs ? load(w, j * shape.outputs + column) : 0.0F;
    } else {
      ws[threadIdx.y][threadIdx.x] =
          w_row < shape.outputs && i < shape.inputs ? load(w, w_row * shape.inputs + i) : 0.0F;
    }
    __syncthreads();
    for (int i2 = 0; i2 < kTile; ++i2) {
      sum += xs[threadIdx.y][i2] * ws[threadIdx.x][i2];
    }
    __syncthreads();
  }
  if (row < shape.rows && column < shape.outputs) {
    store(y, row * shape.outputs + column, bias.data == nullptr ? sum : sum + load(bias, column));
  }
}

}  // namespace

Status launch_plain_linear(const RealSource& x, const RealSource& w, const RealSource& bias,
                           const RealResult& y, const ProductShape& shape, Stream stream) {
  if (shape.rows == 0 || shape.outputs == 0) {
    return {};
  }
  const dim3 grid(static_cast<unsigned int>((shape.outputs + kTile - 1) / kTile),
                  static_cast<unsigned int>((shape.rows + kTile - 1) / kTile));
  plain_linear<<<grid, dim3(kTile, kTile), 0, stream>>>(x, w, bias, y, shape);
  return launch_status("plain_linear");
}

}  // namespace sinew::cuda
