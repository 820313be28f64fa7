#include "kernels/cuda/probe.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime.h>

namespace sinew::cuda {
namespace {

__global__ void nothing() {}

}  // namespace

Status probe_kernels() {
  cudaFuncAttributes attributes{};
  const cudaError_t answer = cudaFuncGetAttributes(&attributes, nothing);
  if (answer != cudaSuccess) {
    cudaGetLastError();  // told here; later launches must not find it
  }
  return call_status(answer, "looking for kernels");
}

const char* kernel_architectures() {
  return SINEW_KERNEL_ARCHITECTURES;
}

}  // namespace sinew::cuda
