// What composites of blocks one after the other share (vit_stack, dit_stack): a stack has rows x,
// weights w of every block, and block(i, rows).
#pragma once

#include "base/check.h"
#include "ops/builder.h"

#include <cstddef>
#include <functional>
#include <vector>

namespace sinew::model {

// x, then the operands of every block but its rows.
template <class Stack>
std::vector<ops::Value> stack_operands(const Stack& a) {
  std::vector<ops::Value> all{a.x};
  for (size_t i = 0; i < a.w.size(); ++i) {
    const std::vector<ops::Value> of_block = a.block(i, a.x).operands();
    SINEW_CHECK(of_block.size() == Stack::kBlockOperands + 1);
    all.insert(all.end(), of_block.begin() + 1, of_block.end());
  }
  return all;
}

// `record(b, block)` records one block; `done(i, rows)` sees what leaves it.
template <class Stack, class RecordBlock>
ops::Value record_stack(ops::Builder& b, const Stack& a, const RecordBlock& record,
                        const std::function<void(size_t block, ops::Value rows)>& done) {
  SINEW_CHECK(!a.w.empty());
  return b.composite(a, [&] {
    ops::Value x = a.x;
    for (size_t i = 0; i < a.w.size(); ++i) {
      x = record(b, a.block(i, x));
      done(i, x);
    }
    return x;
  });
}

}  // namespace sinew::model
