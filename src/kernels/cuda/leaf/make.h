// What table.cpp names: one maker per op (kernel.h, MakeKernel), and the helpers the makers share.
#pragma once

#include "kernels/cuda/kernel.h"
#include "kernels/cuda/real.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace sinew::cuda {

using MadeKernel = Result<std::unique_ptr<Kernel>>;

MadeKernel make_linear(const BoundStep& step, const MakeContext& context);
MadeKernel make_layer_norm(const BoundStep& step, const MakeContext& context);
MadeKernel make_rms_norm(const BoundStep& step, const MakeContext& context);
MadeKernel make_unary(const BoundStep& step, const MakeContext& context);
MadeKernel make_broadcast(const BoundStep& step, const MakeContext& context);
MadeKernel make_attention(const BoundStep& step, const MakeContext& context);
MadeKernel make_rope(const BoundStep& step, const MakeContext& context);
MadeKernel make_embed(const BoundStep& step, const MakeContext& context);
MadeKernel make_gather_rows(const BoundStep& step, const MakeContext& context);
MadeKernel make_scatter_rows(const BoundStep& step, const MakeContext& context);
MadeKernel make_concat_rows(const BoundStep& step, const MakeContext& context);
MadeKernel make_normalize_frames(const BoundStep& step, const MakeContext& context);
MadeKernel make_patchify(const BoundStep& step, const MakeContext& context);
MadeKernel make_pixel_shuffle(const BoundStep& step, const MakeContext& context);
MadeKernel make_euler_step(const BoundStep& step, const MakeContext& context);
MadeKernel make_time_sinusoid(const BoundStep& step, const MakeContext& context);
MadeKernel make_rope_table(const BoundStep& step, const MakeContext& context);
MadeKernel make_resize_positions(const BoundStep& step, const MakeContext& context);

// Source `index` as kernels read it: an activation as it is stored, a parameter as f32.
Result<RealSource> real_source(const BoundStep& step, size_t index, const MakeContext& context);

// The same with parameters as `parameter_dtype`.
Result<RealSource> real_source(const BoundStep& step, size_t index, const MakeContext& context,
                               DType parameter_dtype);

// Source `index` as i32.
const int32_t* index_source(const BoundStep& step, size_t index);

RealResult real_result(const BoundStep& step, size_t index = 0);

// Extent of the innermost axis; 1 for a scalar.
int64_t row_length(const Shape& shape);

// Number of rows: elements / row_length, 0 when empty.
int64_t row_count(const Shape& shape);

// A kernel that is a call of `enqueue(stream, workspace)`.
template <class Enqueue>
class CallKernel final : public Kernel {
 public:
  CallKernel(Enqueue enqueue, size_t workspace_bytes)
      : enqueue_(std::move(enqueue)), workspace_bytes_(workspace_bytes) {}

  size_t workspace_bytes() const override { return workspace_bytes_; }

  Status enqueue(Stream stream, std::byte* workspace) override {
    return enqueue_(stream, workspace);
  }

 private:
  Enqueue enqueue_;
  size_t workspace_bytes_;
};

template <class Enqueue>
MadeKernel made_kernel(Enqueue enqueue, size_t workspace_bytes = 0) {
  return std::unique_ptr<Kernel>(
      std::make_unique<CallKernel<Enqueue>>(std::move(enqueue), workspace_bytes));
}

}  // namespace sinew::cuda
