#include "engine/cuda/device.h"

#include "base/error.h"
#include "kernels/cuda/probe.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace sinew::cuda {
namespace {

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  return cudaDeviceGetAttribute(&value, which, device) == cudaSuccess ? value : 0;
}

// Number of devices, or why there are none.
Result<int> device_count() {
  int count = 0;
  const cudaError_t answer = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (answer == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) {
      return error(
          Code::kDevice,
          "no NVIDIA driver is loaded: install one that offers CUDA {}.x, give the container "
          "access to the GPU, or use --device cpu",
          CUDART_VERSION / 1000);
    }
    return error(Code::kDevice,
                 "the NVIDIA driver offers CUDA {}, this build needs {}: update the driver, or use "
                 "--device cpu",
                 version_text(driver), version_text(CUDART_VERSION));
  }
  if (answer == cudaErrorNoDevice || (answer == cudaSuccess && count == 0)) {
    return error(
        Code::kDevice,
        "the NVIDIA driver sees no GPU: is one hidden by CUDA_VISIBLE_DEVICES or not given "
        "to the container? Or use --device cpu");
  }
  SINEW_TRY(call_status(answer, "asking for devices"));
  return count;
}

int capability_of(int device) {
  return 10 * attribute(cudaDevAttrComputeCapabilityMajor, device) +
         attribute(cudaDevAttrComputeCapabilityMinor, device);
}

engine::CudaDevice describe(int device) {
  engine::CudaDevice d;
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, device) == cudaSuccess) {
    d.name = properties.name;
    d.total_bytes = properties.totalGlobalMem;
  }
  d.compute_capability = capability_of(device);
  d.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
  d.l2_bytes = static_cast<size_t>(attribute(cudaDevAttrL2CacheSize, device));
  d.clock_mhz = attribute(cudaDevAttrClockRate, device) / 1000;
  d.memory_clock_mhz = attribute(cudaDevAttrMemoryClockRate, device) / 1000;
  d.is_integrated = attribute(cudaDevAttrIntegrated, device) != 0;
  if (cudaSetDevice(device) == cudaSuccess) {
    size_t total = 0;
    cudaMemGetInfo(&d.free_bytes, &total);
    d.has_kernels = probe_kernels().ok();
  }
  cudaGetLastError();
  return d;
}

// As nvcc and SINEW_CUDA_ARCHITECTURES name it: Hopper's fast kernels need code for 90a.
std::string architecture_name(int capability) {
  return capability == 90 ? "90a" : std::to_string(capability);
}

bool is_among_architectures(std::string_view name) {
  std::string_view rest = kernel_architectures();
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == name) {
      return true;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

}  // namespace

Result<ops::DeviceCaps> open_device(int device) {
  SINEW_ASSIGN(const int count, device_count());
  if (device < 0 || device >= count) {
    return error(Code::kDevice, "no device {}: the driver sees {} of them, numbered from 0", device,
                 count);
  }
  SINEW_TRY(call_status(cudaSetDevice(device), "starting the device"));
  if (!probe_kernels().ok()) {
    return unsupported(
        "cuda:{} has compute capability {}.{}, and this build has kernels for {}: build sinew with "
        "SINEW_CUDA_ARCHITECTURES={}, or use --device cpu",
        device, capability_of(device) / 10, capability_of(device) % 10, kernel_architectures(),
        architecture_name(capability_of(device)));
  }
  return ops::DeviceCaps{
      .compute_capability = capability_of(device),
      .multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device),
      .block_shared_bytes =
          static_cast<size_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device)),
      .l2_bytes = static_cast<size_t>(attribute(cudaDevAttrL2CacheSize, device)),
      .is_integrated = attribute(cudaDevAttrIntegrated, device) != 0,
      .has_own_code = is_among_architectures(architecture_name(capability_of(device)))};
}

}  // namespace sinew::cuda

namespace sinew::engine {

CudaSystem cuda_system() {
  CudaSystem system;
  system.is_built = true;
  system.architectures = cuda::kernel_architectures();
  system.runtime = cuda::version_text(CUDART_VERSION);
  int driver = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) {
    system.driver = cuda::version_text(driver);
  }
  const auto count = cuda::device_count();
  if (!count.ok()) {
    system.problem = count.status().message();
    return system;
  }
  for (int device = 0; device < count.value(); ++device) {
    system.devices.push_back(cuda::describe(device));
  }
  return system;
}

}  // namespace sinew::engine
