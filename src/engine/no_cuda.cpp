// What the engine says of GPUs in a build without the CUDA backend.
#include "base/error.h"
#include "engine/backend.h"

namespace sinew::engine {

Result<std::unique_ptr<Backend>> make_cuda_backend(const CudaOptions& options) {
  return error(Code::kDevice,
               "--device cuda:{}: this build has no CUDA backend (configure with SINEW_CUDA=ON, or "
               "SINEW_CUDA=PIP to fetch the compiler): use --device cpu",
               options.device);
}

CudaSystem cuda_system() {
  CudaSystem system;
  system.problem = "this build has no CUDA backend";
  return system;
}

Result<CudaBounds> measure_cuda_bounds(int device, ops::Precision /*precision*/) {
  return error(Code::kDevice, "cuda:{}: this build has no CUDA backend", device);
}

}  // namespace sinew::engine
