#include "kernels/cuda/status.h"

#include "base/error.h"

#include <cuda_runtime_api.h>

namespace sinew::cuda {

Status launch_status(const char* kernel) {
  const cudaError_t code = cudaGetLastError();
  if (code == cudaSuccess) {
    return {};
  }
  return call_status(code, kernel).with("launching a kernel");
}

Status call_status(int cuda_error, const char* what) {
  const auto code = static_cast<cudaError_t>(cuda_error);
  if (code == cudaSuccess) {
    return {};
  }
  cudaGetLastError();  // reported here: the next launch must not be blamed for it
  return error(code == cudaErrorMemoryAllocation ? Code::kOutOfMemory : Code::kDevice,
               "{}: CUDA error {} ({}: {})", what, cuda_error, cudaGetErrorName(code),
               cudaGetErrorString(code));
}

}  // namespace sinew::cuda
