// The row operation of both attentions.
#pragma once

#include <cstdint>

namespace sinew::cpu {

// scores[0..visible) become exp(scale * score - max); the rest up to `padded` (a multiple of 16)
// becomes zero. Returns their sum.
float softmax_numerators(float* scores, int64_t visible, int64_t padded, float scale);

}  // namespace sinew::cpu
