// What the current device reaches at most: the ceilings that benchmarks hold measured rates
// against.
#pragma once

#include "kernels/cuda/stream.h"

#include "sinew/result.h"

#include <cstddef>

namespace sinew::cuda {

// Enqueues: reads all of `data` once. `sink` has room for one float a block of the launch, at most
// kReadBlocks.
constexpr int kReadBlocks = 4096;
Status launch_read(const std::byte* data, size_t bytes, float* sink, Stream stream);

}  // namespace sinew::cuda
