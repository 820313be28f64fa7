#include "base/check.h"
#include "kernels/cuda/leaf/make.h"

namespace sinew::cuda {

Result<RealSource> real_source(const BoundStep& step, size_t index, const MakeContext& context,
                               DType parameter_dtype) {
  SINEW_CHECK(index < step.srcs.size() && step.src_is_weight.size() == step.srcs.size());
  const ConstTensorView& view = step.srcs[index];
  if (view.data == nullptr) {
    return RealSource();
  }
  if (step.src_is_weight[index]) {
    SINEW_ASSIGN(const void* const data, context.weights.plain(view, parameter_dtype));
    return RealSource{.data = data, .is_bf16 = parameter_dtype == DType::kBf16};
  }
  SINEW_CHECK(view.dtype == DType::kF32 || view.dtype == DType::kBf16);
  return RealSource{.data = view.data, .is_bf16 = view.dtype == DType::kBf16};
}

Result<RealSource> real_source(const BoundStep& step, size_t index, const MakeContext& context) {
  return real_source(step, index, context, DType::kF32);
}

const int32_t* index_source(const BoundStep& step, size_t index) {
  SINEW_CHECK(index < step.srcs.size());
  return step.srcs[index].as<int32_t>().data();
}

RealResult real_result(const BoundStep& step, size_t index) {
  SINEW_CHECK(index < step.dsts.size());
  const TensorView& view = step.dsts[index];
  SINEW_CHECK(view.dtype == DType::kF32 || view.dtype == DType::kBf16);
  return {.data = view.data, .is_bf16 = view.dtype == DType::kBf16};
}

int64_t row_length(const Shape& shape) {
  return shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
}

int64_t row_count(const Shape& shape) {
  const int64_t elements = shape.elements();
  return elements == 0 ? 0 : elements / row_length(shape);
}

}  // namespace sinew::cuda
