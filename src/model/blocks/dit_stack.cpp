#include "model/blocks/dit_stack.h"

#include "model/blocks/block_stack.h"

namespace sinew::model {

std::vector<ops::Value> DitStack::operands() const {
  return stack_operands(*this);
}

ops::Value dit_stack(ops::Builder& b, const DitStack& a,
                     const std::function<void(size_t block, ops::Value rows)>& done) {
  return record_stack(b, a, dit_block, done);
}

}  // namespace sinew::model
