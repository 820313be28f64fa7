#include "base/check.h"
#include "kernels/cpu/make.h"

namespace sinew::cpu {

Result<const float*> real_source(const BoundStep& step, size_t index, WeightCache& weights) {
  SINEW_CHECK(index < step.srcs.size() && step.src_is_weight.size() == step.srcs.size());
  const ConstTensorView& view = step.srcs[index];
  if (view.data == nullptr) {
    return nullptr;
  }
  if (step.src_is_weight[index]) {
    return weights.plain(view);
  }
  return view.as<float>().data();
}

const int32_t* index_source(const BoundStep& step, size_t index) {
  SINEW_CHECK(index < step.srcs.size());
  return step.srcs[index].as<int32_t>().data();
}

float* real_result(const BoundStep& step, size_t index) {
  SINEW_CHECK(index < step.dsts.size());
  return step.dsts[index].as<float>().data();
}

RealOutput real_output(const BoundStep& step, size_t index) {
  SINEW_CHECK(index < step.dsts.size());
  const TensorView& view = step.dsts[index];
  SINEW_CHECK(view.dtype == DType::kF32 || view.dtype == DType::kBf16);
  return RealOutput(view);
}

int64_t row_length(const Shape& shape) {
  return shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
}

int64_t row_count(const Shape& shape) {
  const int64_t elements = shape.elements();
  return elements == 0 ? 0 : elements / row_length(shape);
}

}  // namespace sinew::cpu
