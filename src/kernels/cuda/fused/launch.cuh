// Launching kernels so that the next one may start before this one is done (programmatic dependent
// launch, sm_90): every kernel calls wait_for_producers() before it touches what earlier kernels
// wrote or read, and may fetch parameters before that. Each kernel waits for the one before it to
// be finished, which had waited too: all earlier work is done then.
#pragma once

#include "kernels/cuda/fused/prefetch.h"
#include "kernels/cuda/stream.h"

#include "sinew/result.h"

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace sinew::cuda {

__device__ __forceinline__ void wait_for_producers() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The next kernel's blocks may take the room that this one leaves free.
__device__ __forceinline__ void release_consumers() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// One block's share of a prefetch, by `threads` of its threads.
__device__ __forceinline__ void prefetch_share(const Prefetch& p, int block, int blocks, int thread,
                                               int threads) {
  constexpr int kLine = 128;
  const auto* data = static_cast<const char*>(p.data);
  const int lines = static_cast<int>(p.bytes / kLine);
  const int share = (lines + blocks - 1) / blocks;
  const int end = min(lines, (block + 1) * share);
  for (int line = block * share + thread; line < end; line += threads) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(data + static_cast<size_t>(line) * kLine));
  }
}

struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;
  int cluster = 1;
  bool is_dependent = false;  // the device has programmatic dependent launch
};

inline Status launch_status(cudaError_t error, std::string_view kernel) {
  if (error == cudaSuccess) {
    return {};
  }
  return Status(Code::kDevice,
                std::string(kernel) + ": the launch failed: " + cudaGetErrorString(error));
}

template <class... Parameters, class... Args>
Status launch(void (*kernel)(Parameters...), std::string_view name, const LaunchShape& shape,
              Stream stream, const Args&... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  std::array<cudaLaunchAttribute, 2> attributes{};
  unsigned count = 0;
  if (shape.is_dependent) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim.x = static_cast<unsigned>(shape.cluster);
    attributes[count].val.clusterDim.y = 1;
    attributes[count++].val.clusterDim.z = 1;
  }
  config.attrs = attributes.data();
  config.numAttrs = count;
  return launch_status(cudaLaunchKernelEx(&config, kernel, args...), name);
}

}  // namespace sinew::cuda
