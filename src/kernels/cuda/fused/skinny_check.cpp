#include "kernels/cuda/fused/skinny.h"

#include <fmt/format.h>

namespace sinew::cuda {

int skinny_tiles(int64_t rows) {
  return rows <= 16 ? 2 : rows <= 32 ? 4 : kSkinnyMaxRows / 8;
}

size_t skinny_shared_bytes(int64_t rows, int64_t k, bool x_is_f32) {
  const size_t padded = size_t{8} * static_cast<size_t>(skinny_tiles(rows));
  const size_t sums = sizeof(float) * kSkinnyWarps * kSkinnyOutputs * padded;
  const auto depth = static_cast<size_t>(k);
  return sums + (x_is_f32 ? 2 * padded * (depth + kSkinnyRowPad) + 2 * sizeof(float) * depth : 0);
}

std::string refuse_skinny(int64_t rows, int64_t n, int64_t k, bool x_is_f32,
                          const ops::DeviceCaps& device) {
  if (rows < 1 || rows > kSkinnyMaxRows) {
    return fmt::format("takes 1 to {} rows, found {}", kSkinnyMaxRows, rows);
  }
  if (n < 1 || n % kSkinnyOutputs != 0 || k < 1 || k % 32 != 0 || k > kSkinnyMaxDepth) {
    return fmt::format(
        "a product of depth {} and {} outputs: the depth must be a multiple of 32 "
        "up to {}, the outputs one of {}",
        k, n, kSkinnyMaxDepth, kSkinnyOutputs);
  }
  if (skinny_shared_bytes(rows, k, x_is_f32) > device.block_shared_bytes) {
    return fmt::format("{} rows of depth {} take more shared memory than the {} bytes of a block",
                       rows, k, device.block_shared_bytes);
  }
  return {};
}

}  // namespace sinew::cuda
