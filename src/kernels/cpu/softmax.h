// The row operation of both attentions.
#pragma once

#include "base/float16.h"

#include <cstdint>

namespace sinew::cpu {

// numerators[i] = exp(scale * (scores[i] - max)) for i < visible, zero from there up to `padded` (a
// multiple of 16); numerators may be the scores. Returns their sum, as they were before they were
// rounded. Precondition: scale > 0.
float softmax_numerators(const float* scores, int64_t visible, int64_t padded, float scale,
                         float* numerators);

// The same for a product of bf16 operands, with an exponential of 16 bits.
float softmax_numerators(const float* scores, int64_t visible, int64_t padded, float scale,
                         Bf16* numerators);

}  // namespace sinew::cpu
