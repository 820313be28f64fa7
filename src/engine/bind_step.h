// From a placed plan to what kernel makers get: the same for every backend.
#pragma once

#include "base/check.h"
#include "engine/weight_source.h"
#include "ops/bound_step.h"
#include "ops/plan.h"

#include <cstddef>
#include <vector>

namespace sinew::engine {

// A weight, or the slice of one, in its stored type.
ConstTensorView weight_view(const ops::Plan& plan, ops::Value value, const WeightSource& weights);

// A value at `root`, the address of the value that owns its memory; no address where root has none.
TensorView view_at(const ops::Plan& plan, ops::Value value, std::byte* root);

// A step with its operands' addresses. `address_of(root)` is where a value that owns memory lies,
// or nullptr when a composite keeps it to itself.
template <class AddressOf>
ops::BoundStep bind_step(const ops::Plan& plan, const ops::Step& step, const WeightSource& weights,
                         const AddressOf& address_of) {
  ops::BoundStep bound{.op = step.op,
                       .attributes = step.attributes,
                       .srcs = {},
                       .src_is_weight = {},
                       .dsts = {},
                       .product_dtype = plan.product_dtype};
  for (const ops::Value src : step.srcs) {
    const bool is_weight = src.valid() && plan.info(plan.root(src)).kind == ops::ValueKind::kWeight;
    bound.src_is_weight.push_back(is_weight);
    bound.srcs.push_back(!src.valid() ? ConstTensorView()
                         : is_weight  ? weight_view(plan, src, weights)
                                      : view_at(plan, src, address_of(plan.root(src))));
  }
  for (const ops::Value dst : step.dsts) {
    bound.dsts.push_back(view_at(plan, dst, address_of(plan.root(dst))));
  }
  return bound;
}

// The steps of one call.
template <class AddressOf>
std::vector<ops::BoundStep> bind_call(const ops::Plan& plan, const ops::Call& call,
                                      const WeightSource& weights, const AddressOf& address_of) {
  std::vector<ops::BoundStep> steps;
  for (int32_t s = call.first_step; s < call.end_step; ++s) {
    steps.push_back(bind_step(plan, plan.steps[static_cast<size_t>(s)], weights, address_of));
  }
  return steps;
}

}  // namespace sinew::engine
