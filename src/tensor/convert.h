// Element-wise conversion of stored tensors to f32, the one place where parameters change type.
#pragma once

#include "tensor/tensor_view.h"

#include <span>

namespace sinew {

enum class ParameterRounding {
  kNone,
  kBf16,  // round to bf16 first, as the original does when it loads parameters (spec/model.md
          // section 2)
};

// dst[i] = f32(src[i]). `src` may be unaligned for its dtype (safetensors promises no alignment);
// f64 and wide integers round to nearest. Precondition: dst.size() == src.shape.elements().
void convert_to_f32(const ConstTensorView& src, std::span<float> dst,
                    ParameterRounding rounding = ParameterRounding::kNone);

}  // namespace sinew
