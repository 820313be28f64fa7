#include "engine/cuda/kept_memory.h"

#include <algorithm>

namespace sinew::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr uintptr_t kPlaceholder = uintptr_t{1} << 53;

}  // namespace

KeptMemory::Part ProgramMemory::part(std::string_view name, int64_t key, size_t bytes) {
  const auto at = [&](size_t offset) {
    return region_.data() != nullptr ? region_.data() + offset
                                     : reinterpret_cast<std::byte*>(kPlaceholder + offset);
  };
  const auto found = std::find_if(parts_.begin(), parts_.end(), [&](const Known& known) {
    return known.name == name && known.key == key && known.bytes == bytes;
  });
  if (found != parts_.end()) {
    return {.data = at(found->offset), .is_new = false};
  }
  const size_t offset = bytes_;
  parts_.push_back({name, key, bytes, offset});
  bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return {.data = at(offset), .is_new = true};
}

Status ProgramMemory::allocate() {
  SINEW_ASSIGN(region_, DeviceBuffer::allocate(bytes_, "what kernels keep between runs"));
  parts_.clear();
  bytes_ = 0;
  return {};
}

}  // namespace sinew::cuda
