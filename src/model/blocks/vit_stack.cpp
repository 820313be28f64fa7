#include "model/blocks/vit_stack.h"

#include "model/blocks/block_stack.h"

namespace sinew::model {

std::vector<ops::Value> VitStack::operands() const {
  return stack_operands(*this);
}

ops::Value vit_stack(ops::Builder& b, const VitStack& a,
                     const std::function<void(size_t block, ops::Value rows)>& done) {
  return record_stack(b, a, vit_block, done);
}

}  // namespace sinew::model
