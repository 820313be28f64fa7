// Cuts a workspace into aligned parts; run over a null base, it says how large the workspace must
// be.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sinew::cuda {

class WorkspaceCutter {
 public:
  explicit WorkspaceCutter(std::byte* base) : base_(base) {}

  void* take(int64_t bytes) {
    std::byte* part = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
    return part;
  }

  size_t used_bytes() const { return used_; }

 private:
  static constexpr size_t kAlignment = 256;
  std::byte* base_;
  size_t used_ = 0;
};

}  // namespace sinew::cuda
