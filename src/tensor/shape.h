// Extents of a tensor, outermost first, row-major. Rank at most 5; a scalar has rank 0.
#pragma once

#include "base/check.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace sinew {

class Shape {
 public:
  static constexpr size_t kMaxRank = 5;

  Shape() = default;

  Shape(std::initializer_list<int64_t> extents)
      : Shape(std::span(extents.begin(), extents.size())) {}

  // Precondition: at most kMaxRank extents, none negative (a file's claim is checked before it gets
  // here).
  explicit Shape(std::span<const int64_t> extents) : rank_(extents.size()) {
    SINEW_CHECK(rank_ <= kMaxRank);
    for (size_t i = 0; i < rank_; ++i) {
      SINEW_CHECK(extents[i] >= 0);
      extents_[i] = extents[i];
    }
  }

  size_t rank() const { return rank_; }

  int64_t operator[](size_t axis) const {
    SINEW_DCHECK(axis < rank_);
    return extents_[axis];
  }

  std::span<const int64_t> extents() const { return {extents_.data(), rank_}; }

  // Number of elements; 1 for a scalar.
  int64_t elements() const {
    int64_t n = 1;
    for (size_t i = 0; i < rank_; ++i) {
      n *= extents_[i];
    }
    return n;
  }

  // "[2, 3]"; "[]" for a scalar.
  std::string text() const {
    std::string out = "[";
    for (size_t i = 0; i < rank_; ++i) {
      out += (i == 0 ? "" : ", ") + std::to_string(extents_[i]);
    }
    return out + "]";
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    return a.rank_ == b.rank_ && a.extents_ == b.extents_;
  }

 private:
  std::array<int64_t, kMaxRank> extents_{};
  size_t rank_ = 0;
};

}  // namespace sinew
