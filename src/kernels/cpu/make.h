// What table.cpp names: one maker per op (kernel.h, MakeKernel), and the helpers the makers share.
#pragma once

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/weights.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace sinew::cpu {

using MadeKernel = Result<std::unique_ptr<Kernel>>;

MadeKernel make_linear(const BoundStep& step, WeightCache& weights);
MadeKernel make_layer_norm(const BoundStep& step, WeightCache& weights);
MadeKernel make_rms_norm(const BoundStep& step, WeightCache& weights);
MadeKernel make_add(const BoundStep& step, WeightCache& weights);
MadeKernel make_mul(const BoundStep& step, WeightCache& weights);
MadeKernel make_modulate(const BoundStep& step, WeightCache& weights);
MadeKernel make_gelu_tanh(const BoundStep& step, WeightCache& weights);
MadeKernel make_gelu_erf(const BoundStep& step, WeightCache& weights);
MadeKernel make_silu(const BoundStep& step, WeightCache& weights);
MadeKernel make_relu(const BoundStep& step, WeightCache& weights);
MadeKernel make_attention(const BoundStep& step, WeightCache& weights);
MadeKernel make_rope(const BoundStep& step, WeightCache& weights);
MadeKernel make_embed(const BoundStep& step, WeightCache& weights);
MadeKernel make_gather_rows(const BoundStep& step, WeightCache& weights);
MadeKernel make_scatter_rows(const BoundStep& step, WeightCache& weights);
MadeKernel make_concat_rows(const BoundStep& step, WeightCache& weights);
MadeKernel make_normalize_frames(const BoundStep& step, WeightCache& weights);
MadeKernel make_patchify(const BoundStep& step, WeightCache& weights);
MadeKernel make_pixel_shuffle(const BoundStep& step, WeightCache& weights);
MadeKernel make_euler_step(const BoundStep& step, WeightCache& weights);
MadeKernel make_time_sinusoid(const BoundStep& step, WeightCache& weights);
MadeKernel make_rope_table(const BoundStep& step, WeightCache& weights);
MadeKernel make_resize_positions(const BoundStep& step, WeightCache& weights);

// Composites: the steps that linear.cpp names above each.
MadeKernel make_linear_activation(std::span<const BoundStep> steps, WeightCache& weights);
MadeKernel make_linear_residual(std::span<const BoundStep> steps, WeightCache& weights);
MadeKernel make_swiglu(std::span<const BoundStep> steps, WeightCache& weights);

// Source `index` as f32: a parameter converted through the cache, or an activation as it is.
// nullptr for an absent optional operand.
Result<const float*> real_source(const BoundStep& step, size_t index, WeightCache& weights);

// Source `index` as i32.
const int32_t* index_source(const BoundStep& step, size_t index);

// Result `index`, f32.
float* real_result(const BoundStep& step, size_t index = 0);

// A result that is stored as f32 or, where only matrix products read it, as bf16. Kernels compute
// in f32 either way.
class RealOutput {
 public:
  RealOutput() = default;

  explicit RealOutput(const TensorView& view)
      : data_(view.data), is_bf16_(view.dtype == DType::kBf16) {}

  bool is_bf16() const { return is_bf16_; }

  // The elements as what they are.
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

  // Has `compute(float* y)` write elements [first, first + n). Precondition: n <= kPieceElements.
  template <class Compute>
  void fill(int64_t first, int64_t n, const Compute& compute) const {
    if (!is_bf16_) {
      compute(static_cast<float*>(data_) + first);
      return;
    }
    alignas(64) float piece[kPieceElements];
    compute(static_cast<float*>(piece));
    narrow_loop(piece, static_cast<Bf16*>(data_) + first, n);
  }

 private:
  void* data_ = nullptr;
  bool is_bf16_ = false;
};

// Result `index` in either type.
RealOutput real_output(const BoundStep& step, size_t index = 0);

// Extent of the innermost axis; 1 for a scalar.
int64_t row_length(const Shape& shape);

// Number of rows: elements / row_length, 0 when empty.
int64_t row_count(const Shape& shape);

}  // namespace sinew::cpu
