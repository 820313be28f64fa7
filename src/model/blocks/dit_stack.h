// All blocks of the diffusion transformer at one denoising step (spec/model.md section 8.2): what
// runs in one launch where a backend has a kernel for it.
#pragma once

#include "model/blocks/dit_block.h"
#include "ops/builder.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace sinew::model {

struct DitStack {
  static constexpr std::string_view kName = "dit_stack";
  static constexpr int kVersion = 1;
  // Operands of a block behind those of the blocks before it; the first operand of all is x.
  static constexpr size_t kBlockOperands = 16;

  ops::Value x;                             // [t, d]
  std::span<const Modulation> modulations;  // a block
  std::span<const KeyValue> context;        // a block
  std::span<const DitBlockWeights> w;       // a block
  int64_t heads = 1;
  float epsilon = 0;

  DitBlock block(size_t i, ops::Value rows) const {
    return {.x = rows,
            .modulation = modulations[i],
            .context = context[i],
            .w = w[i],
            .heads = heads,
            .epsilon = epsilon};
  }

  std::vector<ops::Value> operands() const;
};

// -> [t, d]; `done(i, rows)` sees what leaves every block.
ops::Value dit_stack(ops::Builder& b, const DitStack& a,
                     const std::function<void(size_t block, ops::Value rows)>& done);

}  // namespace sinew::model
