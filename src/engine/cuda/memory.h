// The owners of device memory and of page-locked host memory. Nothing else of the engine calls
// CUDA's allocators.
#pragma once

#include "sinew/result.h"

#include <cstddef>
#include <utility>

namespace sinew::cuda {

// Device memory, at least 256-byte aligned.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  ~DeviceBuffer();

  // Undefined contents. A size of 0 gives an empty buffer. `what` it is for goes into the error:
  // kOutOfMemory or kDevice.
  static Result<DeviceBuffer> allocate(size_t size_bytes, const char* what);

  std::byte* data() const { return data_; }

  size_t size_bytes() const { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
};

// Page-locked host memory, zero-filled.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  PinnedBuffer(PinnedBuffer&& other) noexcept;
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept;
  ~PinnedBuffer();

  // `is_mapped`: the device can read and write it in place, at device_data().
  static Result<PinnedBuffer> allocate(size_t size_bytes, bool is_mapped, const char* what);

  std::byte* data() const { return data_; }

  std::byte* device_data() const { return device_data_; }

  size_t size_bytes() const { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::byte* device_data_ = nullptr;  // nullptr unless mapped
  size_t size_bytes_ = 0;
};

// How often device or page-locked memory was allocated by this process: tests ask that a run
// allocates none.
size_t allocation_count();

}  // namespace sinew::cuda
