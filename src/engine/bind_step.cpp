#include "engine/bind_step.h"

namespace sinew::engine {

ConstTensorView weight_view(const ops::Plan& plan, ops::Value value, const WeightSource& weights) {
  const ops::ValueInfo& info = plan.info(value);
  const ConstTensorView stored = weights.weight(plan.info(plan.root(value)).name);
  const auto* data = static_cast<const std::byte*>(stored.data);
  return {data + static_cast<size_t>(info.alias_offset) * dtype_bytes(stored.dtype), stored.dtype,
          info.shape};
}

TensorView view_at(const ops::Plan& plan, ops::Value value, std::byte* root) {
  const ops::ValueInfo& info = plan.info(value);
  const size_t offset = static_cast<size_t>(info.alias_offset) * dtype_bytes(info.dtype);
  return {root == nullptr ? nullptr : root + offset, info.dtype, info.shape};
}

}  // namespace sinew::engine
