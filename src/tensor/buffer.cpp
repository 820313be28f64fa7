#include "tensor/buffer.h"

#include "base/error.h"

#include <cstring>
#include <limits>

namespace sinew {

Result<Buffer> Buffer::allocate(size_t size_bytes) {
  Buffer buffer;
  if (size_bytes == 0) {
    return buffer;
  }
  void* pointer = nullptr;
  if (size_bytes <= std::numeric_limits<size_t>::max() - kAlignment) {
    const size_t padded = (size_bytes + kAlignment - 1) / kAlignment * kAlignment;
    pointer = std::aligned_alloc(kAlignment, padded);
    if (pointer != nullptr) {
      std::memset(pointer, 0, padded);
    }
  }
  if (pointer == nullptr) {
    return error(Code::kOutOfMemory, "cannot allocate {} bytes of host memory", size_bytes);
  }
  buffer.data_.reset(static_cast<std::byte*>(pointer));
  buffer.size_bytes_ = size_bytes;
  return buffer;
}

}  // namespace sinew
