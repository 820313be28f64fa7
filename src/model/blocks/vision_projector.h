// From vision patches to language tokens: 2x2 patches become one token (spec/model.md section 4).
//   out = W3 gelu_erf(W1 ln(pixel_shuffle(x)) + b1) + b3
#pragma once

#include "ops/builder.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace sinew::model {

struct VisionProjectorWeights {
  ops::Value norm_w, norm_b;  // [4d]
  ops::Value up_w, up_b;      // [l, 4d], [l]
  ops::Value out_w, out_b;    // [l, l], [l]
};

struct VisionProjector {
  static constexpr std::string_view kName = "vision_projector";
  static constexpr int kVersion = 1;

  ops::Value x;  // [v*p, d]
  VisionProjectorWeights w;
  int64_t rows = 0;  // of one image's patch grid; even
  int64_t columns = 0;
  float epsilon = 0;

  std::vector<ops::Value> operands() const {
    return {x, w.norm_w, w.norm_b, w.up_w, w.up_b, w.out_w, w.out_b};
  }
};

// -> [v*p/4, l]
ops::Value vision_projector(ops::Builder& b, const VisionProjector& a);

}  // namespace sinew::model
