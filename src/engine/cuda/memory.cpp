#include "engine/cuda/memory.h"

#include "base/error.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstring>

namespace sinew::cuda {
namespace {

// Counts, for tests that a run allocates nothing; decides nothing.
std::atomic<size_t> allocations{0};  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

}  // namespace

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) {
    cudaFree(data_);  // after a fault of the device every call fails, this one too
  }
}

Result<DeviceBuffer> DeviceBuffer::allocate(size_t size_bytes, const char* what) {
  DeviceBuffer buffer;
  if (size_bytes == 0) {
    return buffer;
  }
  ++allocations;
  void* data = nullptr;
  Status status = call_status(cudaMalloc(&data, size_bytes), what);
  if (!status.ok()) {
    cudaGetLastError();  // a shortage is no fault: later launches must not find it
    return std::move(status).with(fmt::format("allocating {} bytes of the device", size_bytes));
  }
  buffer.data_ = static_cast<std::byte*>(data);
  buffer.size_bytes_ = size_bytes;
  return buffer;
}

PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      device_data_(std::exchange(other.device_data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(device_data_, other.device_data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

PinnedBuffer::~PinnedBuffer() {
  if (data_ != nullptr) {
    cudaFreeHost(data_);
  }
}

Result<PinnedBuffer> PinnedBuffer::allocate(size_t size_bytes, bool is_mapped, const char* what) {
  PinnedBuffer buffer;
  if (size_bytes == 0) {
    return buffer;
  }
  ++allocations;
  void* data = nullptr;
  const unsigned int flags = is_mapped ? cudaHostAllocMapped : cudaHostAllocDefault;
  Status status = call_status(cudaHostAlloc(&data, size_bytes, flags), what);
  if (!status.ok()) {
    cudaGetLastError();
    return std::move(status).with(fmt::format("allocating {} page-locked bytes", size_bytes));
  }
  std::memset(data, 0, size_bytes);
  buffer.data_ = static_cast<std::byte*>(data);
  buffer.size_bytes_ = size_bytes;
  if (is_mapped) {
    void* device_data = nullptr;
    SINEW_TRY(call_status(cudaHostGetDevicePointer(&device_data, data, 0), what));
    buffer.device_data_ = static_cast<std::byte*>(device_data);
  }
  return buffer;
}

size_t allocation_count() {
  return allocations.load();
}

}  // namespace sinew::cuda
