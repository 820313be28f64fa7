// What lowerings of composites share: refusals that are asked about the operands of a plan, and a
// composite's steps taken apart.
#pragma once

#include "kernels/cuda/fused/lowerings.h"
#include "kernels/cuda/kernel.h"

#include <cstdint>
#include <span>
#include <vector>

namespace sinew::cuda {

// Unless products are in bf16 and the device has them.
Refusal refuse_device(const ops::Plan& plan);

bool is_weight(const ops::Plan& plan, ops::Value value);

Refusal refuse_unless_weights(const ops::Plan& plan, std::span<const ops::Value> values);

// Rows of a run in f32: no parameters, which lie elsewhere.
Refusal refuse_unless_f32(const ops::Plan& plan, std::span<const ops::Value> values);

// Results of once-steps in f32: kernels may read them before anything has run.
Refusal refuse_unless_once(const ops::Plan& plan, std::span<const ops::Value> values);

std::span<const ops::Step> steps_of(const ops::Plan& plan, const ops::CompositeCall& call);

// Steps of one op, in recorded order.
template <class Step>
std::vector<const Step*> steps_of(std::span<const Step> steps, ops::OpKind op) {
  std::vector<const Step*> found;
  for (const Step& step : steps) {
    if (step.op == op) {
      found.push_back(&step);
    }
  }
  return found;
}

// An address as the key of kept memory.
int64_t key_of(const void* address);

// A parameter as f32, and the matrix of a product as bf16.
Result<const float*> vector_of(const BoundStep& step, size_t source, const MakeContext& context);
Result<const void*> matrix_of(const BoundStep& step, const MakeContext& context);

}  // namespace sinew::cuda
