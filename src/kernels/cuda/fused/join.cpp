#include "kernels/cuda/fused/join.h"

#include "base/error.h"
#include "tensor/dtype.h"

#include <cuda_runtime_api.h>

#include <cstddef>

namespace sinew::cuda {

Status join_parameters(const PackJob& job) {
  auto* to = static_cast<std::byte*>(job.dst);
  for (const ConstTensorView& part : job.srcs) {
    const size_t bytes = static_cast<size_t>(part.shape.elements()) * dtype_bytes(part.dtype);
    const cudaError_t copied =
        cudaMemcpyAsync(to, part.data, bytes, cudaMemcpyDeviceToDevice, job.stream);
    if (copied != cudaSuccess) {
      return error(Code::kDevice, "joining parameters: {}", cudaGetErrorString(copied));
    }
    to += bytes;
  }
  return {};
}

}  // namespace sinew::cuda
