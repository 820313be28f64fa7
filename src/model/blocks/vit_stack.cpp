#include "model/blocks/vit_stack.h"

#include "base/check.h"

namespace sinew::model {

std::vector<ops::Value> VitStack::operands() const {
  std::vector<ops::Value> all{x};
  for (size_t i = 0; i < w.size(); ++i) {
    const std::vector<ops::Value> of_block = block(i, x).operands();
    SINEW_CHECK(of_block.size() == kBlockOperands + 1);
    all.insert(all.end(), of_block.begin() + 1, of_block.end());
  }
  return all;
}

ops::Value vit_stack(ops::Builder& b, const VitStack& a,
                     const std::function<void(size_t block, ops::Value rows)>& done) {
  SINEW_CHECK(!a.w.empty());
  return b.composite(a, [&] {
    ops::Value x = a.x;
    for (size_t i = 0; i < a.w.size(); ++i) {
      x = vit_block(b, a.block(i, x));
      done(i, x);
    }
    return x;
  });
}

}  // namespace sinew::model
