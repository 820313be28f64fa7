// Launching kernels so that the next one may start before this one is done (programmatic dependent
// launch, sm_90): every kernel calls wait_for_producers() before it touches what earlier kernels
// wrote or read, and may fetch parameters before that. Each kernel waits for the one before it to
// be finished, which had waited too: all earlier work is done then.
#pragma once

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
  cudaGetLastError();  // reported here: the next launch must not be blamed for it
  return Status(Code::kDevice,
                std::string(kernel) + ": the launch failed: " + cudaGetErrorString(error));
}

// Gives a kernel up to `shared_bytes` of shared memory, and asks for the same division of memory
// between L1 and shared memory for all: a multiprocessor that must change it first runs dry.
template <class... Parameters>
Status prepare_kernel(void (*kernel)(Parameters...), std::string_view name, size_t shared_bytes) {
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                           static_cast<int>(shared_bytes));
  if (error == cudaSuccess) {
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                 cudaSharedmemCarveoutMaxShared);
  }
  return launch_status(error, name);
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
