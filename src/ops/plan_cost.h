// What a plan's stages have to do, counted from the recorded steps: the numbers behind every
// fraction of a bound.
#pragma once

#include "ops/passes.h"
#include "ops/plan.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sinew::ops {

struct StageCost {
  std::string stage;
  int64_t flop = 0;          // of products and attention; a multiplication and an addition are two
  int64_t weight_bytes = 0;  // parameters read, each step's own
};

// One entry a stage, in order, for one run; once-steps cost nothing. Attention counts the pairs
// that its mask keeps. Matrices and looked-up rows count in the precision's width, vectors in f32.
// Element-wise work and activations are not counted: they stay in the caches at these sizes.
std::vector<StageCost> stage_costs(const Plan& plan, Precision precision);

// Bytes of a matrix element in this precision.
int64_t element_bytes(Precision precision);

}  // namespace sinew::ops
