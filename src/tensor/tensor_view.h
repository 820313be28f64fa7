// TensorView: a trivially copyable description of contiguous, row-major memory that somebody else
// owns.
#pragma once

#include "base/check.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sinew {

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;

  size_t bytes() const { return static_cast<size_t>(shape.elements()) * dtype_bytes(dtype); }

  // The elements as T. Precondition: dtype_of<T>() == dtype.
  template <class T>
  std::span<T> as() const {
    SINEW_CHECK(dtype_of<T>() == dtype);
    return {static_cast<T*>(data), static_cast<size_t>(shape.elements())};
  }
};

struct ConstTensorView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;

  ConstTensorView() = default;

  ConstTensorView(const void* data_in, DType dtype_in, const Shape& shape_in)
      : data(data_in), dtype(dtype_in), shape(shape_in) {}

  ConstTensorView(const TensorView& view)  // NOLINT(google-explicit-constructor): adds const only
      : data(view.data), dtype(view.dtype), shape(view.shape) {}

  size_t bytes() const { return static_cast<size_t>(shape.elements()) * dtype_bytes(dtype); }

  template <class T>
  std::span<const T> as() const {
    SINEW_CHECK(dtype_of<T>() == dtype);
    return {static_cast<const T*>(data), static_cast<size_t>(shape.elements())};
  }
};

}  // namespace sinew
