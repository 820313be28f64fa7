// Keys and values of all cross-attention blocks that read the same rows of the context, once an
// observation (spec/model.md section 8.2).
#pragma once

#include "model/blocks/dit_block.h"
#include "ops/builder.h"

#include <string_view>
#include <vector>

namespace sinew::model {

struct CrossContext {
  static constexpr std::string_view kName = "cross_context";
  static constexpr int kVersion = 1;

  ops::Value rows;                             // [s, c]
  std::vector<const DitBlockWeights*> blocks;  // k_w, k_b, v_w and v_b of them are read

  std::vector<ops::Value> operands() const;
};

// -> keys and values [s, d] of each of `blocks`.
std::vector<KeyValue> cross_context(ops::Builder& b, const CrossContext& a);

}  // namespace sinew::model
