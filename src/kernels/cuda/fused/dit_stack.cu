#include "kernels/cuda/fused/dit_stack.h"
#include "kernels/cuda/fused/dit_stack_kernel.cuh"

namespace sinew::cuda::dit {
namespace {

struct Variant {
  const void* kernel;
  size_t shared_bytes;
};

Variant variant(int tokens) {
  if (token_tiles(tokens) == 3) {
    return {reinterpret_cast<const void*>(&stack_kernel<3>), Shared<3>::kBytes};
  }
  return {reinterpret_cast<const void*>(&stack_kernel<7>), Shared<7>::kBytes};
}

}  // namespace

cudaError_t check_device(int tokens) {
  int device = 0;
  int major = 0;
  int minor = 0;
  int processors = 0;
  cudaError_t error = cudaGetDevice(&device);
  const auto attribute = [&](int& value, cudaDeviceAttr name) {
    if (error == cudaSuccess) {
      error = cudaDeviceGetAttribute(&value, name, device);
    }
  };
  attribute(major, cudaDevAttrComputeCapabilityMajor);
  attribute(minor, cudaDevAttrComputeCapabilityMinor);
  attribute(processors, cudaDevAttrMultiProcessorCount);
  if (error != cudaSuccess) {
    return error;
  }
  if (major != 9 || minor != 0) {
    return cudaErrorNotSupported;
  }
  const Variant v = variant(tokens);
  error = cudaFuncSetAttribute(v.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(v.shared_bytes));
  int per_processor = 0;
  if (error == cudaSuccess) {
    error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_processor, v.kernel, kThreads,
                                                          v.shared_bytes);
  }
  if (error != cudaSuccess) {
    return error;
  }
  return per_processor * processors >= kCtas ? cudaSuccess : cudaErrorNotSupported;
}

#ifdef SINEW_DIT_PROFILE
void read_profile(long long (&cycles)[32]) {
  cudaMemcpyFromSymbol(cycles, g_profile, sizeof cycles);
  const long long zeros[32] = {};
  cudaMemcpyToSymbol(g_profile, zeros, sizeof zeros);
}
#endif

cudaError_t run_stack(const StackArguments& arguments, cudaStream_t stream) {
  const Variant v = variant(arguments.tokens);
  cudaLaunchAttribute cooperative{};
  cooperative.id = cudaLaunchAttributeCooperative;
  cooperative.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(kCtas);
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = v.shared_bytes;
  config.stream = stream;
  config.attrs = &cooperative;
  config.numAttrs = 1;
  void* pointers[] = {const_cast<StackArguments*>(&arguments)};
  return cudaLaunchKernelExC(&config, v.kernel, pointers);
}

}  // namespace sinew::cuda::dit
