// From frames to the vision tower's patches (spec/preprocessing.md section 3, spec/model.md section
// 3.1): normalised, cut, projected, at their positions.
#pragma once

#include "ops/builder.h"

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace sinew::model {

struct PatchEmbedding {
  static constexpr std::string_view kName = "patch_embedding";
  static constexpr int kVersion = 1;

  ops::Value frames;     // u8 [v, H, W, 3]
  ops::Value w, b;       // [d, 3 * patch * patch], [d]
  ops::Value positions;  // [p, d], the same for every view
  int64_t patch = 0;

  std::vector<ops::Value> operands() const { return {frames, w, b, positions}; }
};

// -> [v*p, d]; `normalized` sees the pixels, [v, 3, H, W].
ops::Value patch_embedding(ops::Builder& b, const PatchEmbedding& a,
                           const std::function<void(ops::Value pixels)>& normalized);

}  // namespace sinew::model
