// All blocks of the vision tower (spec/model.md section 3.4): a backend that runs them as one can
// let each prepare the norm of the next.
#pragma once

#include "model/blocks/vit_block.h"
#include "ops/builder.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace sinew::model {

struct VitStack {
  static constexpr std::string_view kName = "vit_stack";
  static constexpr int kVersion = 1;
  // Operands of a block behind those of the blocks before it; the first operand of all is x.
  static constexpr size_t kBlockOperands = 16;

  ops::Value x;                        // [v*p, d]
  std::span<const VitBlockWeights> w;  // a block; at least one
  int64_t images = 1;                  // v
  int64_t heads = 1;
  float epsilon = 0;

  VitBlock block(size_t i, ops::Value rows) const {
    return {.x = rows, .w = w[i], .images = images, .heads = heads, .epsilon = epsilon};
  }

  std::vector<ops::Value> operands() const;
};

// -> [v*p, d]; `done(i, rows)` sees what leaves every block.
ops::Value vit_stack(ops::Builder& b, const VitStack& a,
                     const std::function<void(size_t block, ops::Value rows)>& done);

}  // namespace sinew::model
