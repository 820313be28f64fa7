// Buffer: the single move-only owner of host memory, 64-byte aligned; large ones lie on huge pages
// where the system has them.
#pragma once

#include "sinew/result.h"

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace sinew {

class Buffer {
 public:
  static constexpr size_t kAlignment = 64;

  Buffer() = default;

  // Zero-filled. Fails with kOutOfMemory; a size of 0 gives an empty buffer.
  static Result<Buffer> allocate(size_t size_bytes);

  // The same with undefined contents: what is never written costs no memory.
  static Result<Buffer> allocate_for_overwrite(size_t size_bytes);

  std::byte* data() { return data_.get(); }

  const std::byte* data() const { return data_.get(); }

  size_t size_bytes() const { return size_bytes_; }

 private:
  struct Free {
    void operator()(std::byte* pointer) const { std::free(pointer); }
  };

  std::unique_ptr<std::byte[], Free> data_;
  size_t size_bytes_ = 0;
};

}  // namespace sinew
