// The ceilings of a GPU (engine/backend.h).
#include "kernels/cuda/bounds.h"

#include "base/error.h"
#include "engine/backend.h"
#include "engine/cuda/device.h"
#include "engine/cuda/handles.h"
#include "engine/cuda/memory.h"
#include "kernels/cuda/blas_lt.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace sinew::cuda {
namespace {

constexpr size_t kReadBytes = size_t{1} << 30;  // far beyond any cache
constexpr int64_t kProductSide = 8192;
constexpr int kRuns = 7;

// Median milliseconds of what `enqueue` puts on the stream.
template <class Enqueue>
Result<double> median_ms(cudaStream_t stream, const Enqueue& enqueue) {
  SINEW_ASSIGN(const Event start, make_event(/*has_time=*/true));
  SINEW_ASSIGN(const Event end, make_event(/*has_time=*/true));
  std::vector<double> times;
  for (int i = 0; i <= kRuns; ++i) {
    SINEW_TRY(call_status(cudaEventRecord(start.get(), stream), "timing"));
    SINEW_TRY(enqueue());
    SINEW_TRY(call_status(cudaEventRecord(end.get(), stream), "timing"));
    SINEW_TRY(call_status(cudaEventSynchronize(end.get()), "timing"));
    float ms = 0;
    SINEW_TRY(call_status(cudaEventElapsedTime(&ms, start.get(), end.get()), "timing"));
    if (i > 0) {  // the first one loads code
      times.push_back(static_cast<double>(ms));
    }
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Result<engine::CudaBounds> measure(ops::Precision precision, cudaStream_t stream) {
  engine::CudaBounds bounds;
  const bool is_bf16 = precision != ops::Precision::kFp32;
  const Product product{.rows = kProductSide,
                        .outputs = kProductSide,
                        .inputs = kProductSide,
                        .operands = is_bf16 ? DType::kBf16 : DType::kF32,
                        .result = is_bf16 ? DType::kBf16 : DType::kF32};
  const size_t matrix_bytes =
      static_cast<size_t>(kProductSide * kProductSide) * dtype_bytes(product.operands);
  SINEW_ASSIGN(const std::unique_ptr<BlasLt> blas, BlasLt::open());
  SINEW_ASSIGN(const BlasLt::Plan* const plan, blas->plan(product));
  SINEW_ASSIGN(const DeviceBuffer memory,
               DeviceBuffer::allocate(std::max(kReadBytes, 3 * matrix_bytes), "the probe"));
  SINEW_ASSIGN(
      const DeviceBuffer workspace,
      DeviceBuffer::allocate(plan == nullptr ? 0 : BlasLt::workspace_bytes(*plan), "the probe"));
  SINEW_ASSIGN(const DeviceBuffer sink,
               DeviceBuffer::allocate(kReadBlocks * sizeof(float), "the probe"));
  // Numbers near one, all alike: a product of zeros draws less power and so runs faster than any
  // real one.
  SINEW_TRY(
      call_status(cudaMemsetAsync(memory.data(), 0x3F, memory.size_bytes(), stream), "the probe"));
  SINEW_ASSIGN(const double read_ms, median_ms(stream, [&] {
                 return launch_read(memory.data(), kReadBytes,
                                    reinterpret_cast<float*>(sink.data()), stream);
               }));
  bounds.read_bytes_per_second = static_cast<double>(kReadBytes) / (read_ms * 1e-3);
  if (plan != nullptr) {
    SINEW_ASSIGN(const double product_ms, median_ms(stream, [&] {
                   return blas->run(*plan, memory.data(), memory.data() + matrix_bytes, nullptr,
                                    memory.data() + 2 * matrix_bytes, workspace.data(), stream);
                 }));
    const auto side = static_cast<double>(kProductSide);
    bounds.flop_per_second = 2 * side * side * side / (product_ms * 1e-3);
    bounds.product = fmt::format("cuBLASLt {}, {} x {} x {}, {}", blas->version(), kProductSide,
                                 kProductSide, kProductSide, is_bf16 ? "bf16" : "fp32");
  }
  return bounds;
}

}  // namespace
}  // namespace sinew::cuda

namespace sinew::engine {

Result<CudaBounds> measure_cuda_bounds(int device, ops::Precision precision) {
  SINEW_ASSIGN(const ops::DeviceCaps caps, cuda::open_device(device));
  static_cast<void>(caps);
  cudaStream_t stream = nullptr;
  SINEW_TRY(cuda::call_status(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                              "creating a stream"));
  auto bounds = cuda::measure(precision, stream);
  cudaStreamDestroy(stream);
  return bounds;
}

}  // namespace sinew::engine
