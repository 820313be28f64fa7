// A parameter matrix as block products read it: panels of 16 columns (block_product.h).
#pragma once

#include "base/thread_pool.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

#include <cstddef>
#include <cstdint>

namespace sinew::cpu {

// W of y [rows, outputs] = x [rows, inputs] W. A view: the memory is WeightCache's.
struct PackedMatrix {
  DType dtype = DType::kF32;  // f32 or bf16
  int64_t inputs = 0;
  int64_t outputs = 0;
  const std::byte* panels = nullptr;

  int64_t panel_count() const;
  int64_t panel_elements() const;  // of one panel, its padding included
  size_t bytes() const;

  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(panels);
  }
};

// Fills `panels` (matrix.bytes(), 64-byte aligned) from `weight` (inputs * outputs elements, stored
// [inputs, outputs] if weights_in_out, else [outputs, inputs]; any dtype, any alignment), rounded
// to bf16 like every parameter (docs/numerics.md).
void pack_matrix(const ConstTensorView& weight, bool weights_in_out, const PackedMatrix& matrix,
                 std::byte* panels, ThreadPool& pool);

}  // namespace sinew::cpu
