// Parameters as CUDA kernels want them. One store a session: every parameter is uploaded once in
// each form that some kernel asks for, shared by all plans, and its pages of the mapped file are
// given back.
#pragma once

#include "kernels/cuda/stream.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sinew::cuda {

// What a packing function works on: device memory.
struct PackJob {
  std::span<const ConstTensorView> srcs;  // the parameters as `Packing::source`, row-major
  std::span<const int64_t> numbers;       // Packing::numbers
  void* dst = nullptr;                    // [Packing::bytes]
  Stream stream = nullptr;
};

// A form of one or several parameters that a kernel defines: fused matrices, tiles, fragments.
struct Packing {
  std::string_view name;  // of the form, for example "dit_block:qkv"; static
  size_t bytes = 0;       // of the result
  // The type that parameters are converted to before `pack` sees them (rounded to bf16 first, as
  // everywhere).
  DType source = DType::kBf16;
  // What `pack` needs to know beyond the shapes; part of the form's identity.
  std::array<int64_t, 4> numbers{};
  // Enqueues the work that writes `dst`, and reports launch errors. Its sources are gone
  // afterwards.
  Status (*pack)(const PackJob& job) = nullptr;
};

class WeightStore {
 public:
  virtual ~WeightStore() = default;

  // Device address of a parameter (`BoundStep::srcs` where src_is_weight) as `dtype`, f32 or bf16,
  // row-major; its values are rounded to bf16 in both. 256-byte aligned, lives as long as the
  // store.
  //
  // Kernels are made twice: first to learn what they ask for, then with the memory there. Addresses
  // of the first time are placeholders of the same alignment: a maker may store them and do
  // arithmetic, never read them. The contents are there before the first kernel runs.
  virtual Result<const void*> plain(const ConstTensorView& weight, DType dtype) = 0;

  // The same for parameters in a form of the kernel's own. Equal sources, name and numbers give the
  // same memory.
  virtual Result<const void*> packed(std::span<const ConstTensorView> weights,
                                     const Packing& packing) = 0;
};

}  // namespace sinew::cuda
