// A step of a placed plan with the addresses of its operands: what a backend's kernel makers get.
#pragma once

#include "ops/op.h"
#include "tensor/tensor_view.h"

#include <vector>

namespace sinew::ops {

// Sources and results lie in the memory of the device that runs the step, but for parameters: those
// point into the mapped checkpoint in their stored type, and a kernel gets what it reads in their
// place from its backend's store of parameters.
struct BoundStep {
  OpKind op = OpKind::kAdd;
  Attributes attributes;
  std::vector<ConstTensorView> srcs;  // data == nullptr: optional operand absent
  std::vector<bool> src_is_weight;
  std::vector<TensorView> dsts;  // data == nullptr: a composite keeps the result to itself
  // The type that matrix products take their operands in: f32, or bf16 with f32 sums.
  DType product_dtype = DType::kF32;
  int threads = 1;  // of the host's pool, where kernels run there
};

}  // namespace sinew::ops
