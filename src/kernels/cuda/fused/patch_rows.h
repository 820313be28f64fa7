// Frames as the rows that the patch projection reads: normalised, cut into patches, rounded to
// bf16, padded to a depth that products take.
#pragma once

#include "kernels/cuda/stream.h"

#include "sinew/result.h"

#include <cstdint>

namespace sinew::cuda {

struct PatchRowsArgs {
  const uint8_t* frames = nullptr;  // [images, rows * patch, columns * patch, 3]
  int64_t images = 0;
  int64_t rows = 0;  // of one image's patches
  int64_t columns = 0;
  int64_t patch = 0;
  void* out = nullptr;        // bf16 [images * rows * columns, patch_depth(patch)]
  bool is_dependent = false;  // the device has programmatic dependent launch
};

// 3 * patch * patch, to a multiple of 8; zeros behind the patch.
constexpr int64_t patch_depth(int64_t patch) {
  return (3 * patch * patch + 7) / 8 * 8;
}

Status enqueue_patch_rows(const PatchRowsArgs& args, Stream stream);

// w bf16 [n, k] -> [n, padded], zeros behind every row.
Status pad_rows(const void* w, int64_t n, int64_t k, int64_t padded, void* out, Stream stream);

// x f32 [n] `times` times one after the other.
Status repeat(const float* x, int64_t n, int64_t times, float* out, Stream stream);

}  // namespace sinew::cuda
