#include "kernels/cuda/fused/lowering_parts.h"

#include "base/check.h"
#include "base/error.h"

namespace sinew::cuda {
namespace {

constexpr int kOldestArchitecture = 80;  // bf16 on tensor cores, asynchronous copies

}  // namespace

Refusal refuse_device(const ops::Plan& plan) {
  if (plan.product_dtype != DType::kBf16) {
    return "products are not in bf16";
  }
  if (plan.device.compute_capability < kOldestArchitecture) {
    return fmt::format("the device has compute capability {}, {} is needed",
                       plan.device.compute_capability, kOldestArchitecture);
  }
  return std::nullopt;
}

bool is_weight(const ops::Plan& plan, ops::Value value) {
  return value.valid() && plan.info(plan.root(value)).kind == ops::ValueKind::kWeight;
}

Refusal refuse_unless_weights(const ops::Plan& plan, std::span<const ops::Value> values) {
  for (const ops::Value value : values) {
    if (!is_weight(plan, value)) {
      return "a matrix or vector of it is absent or no parameter";
    }
  }
  return std::nullopt;
}

Refusal refuse_unless_f32(const ops::Plan& plan, std::span<const ops::Value> values) {
  for (const ops::Value value : values) {
    if (plan.info(value).dtype != DType::kF32 || is_weight(plan, value)) {
      return "its rows are not stored in f32";
    }
  }
  return std::nullopt;
}

Refusal refuse_unless_once(const ops::Plan& plan, std::span<const ops::Value> values) {
  for (const ops::Value value : values) {
    if (!value.valid() || !plan.info(plan.root(value)).is_once ||
        plan.info(value).dtype != DType::kF32) {
      return "what it reads before the run is not computed once, in f32";
    }
  }
  return std::nullopt;
}

std::span<const ops::Step> steps_of(const ops::Plan& plan, const ops::CompositeCall& call) {
  return std::span(plan.steps)
      .subspan(static_cast<size_t>(call.first_step),
               static_cast<size_t>(call.end_step - call.first_step));
}

int64_t key_of(const void* address) {
  return static_cast<int64_t>(reinterpret_cast<intptr_t>(address));
}

Result<const float*> vector_of(const BoundStep& step, size_t source, const MakeContext& context) {
  SINEW_CHECK(step.src_is_weight[source]);
  SINEW_ASSIGN(const void* const data, context.weights.plain(step.srcs[source], DType::kF32));
  return static_cast<const float*>(data);
}

Result<const void*> matrix_of(const BoundStep& step, const MakeContext& context) {
  SINEW_CHECK(step.src_is_weight[1]);
  return context.weights.plain(step.srcs[1], DType::kBf16);
}

}  // namespace sinew::cuda
