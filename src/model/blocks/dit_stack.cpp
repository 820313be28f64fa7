#include "model/blocks/dit_stack.h"

#include "base/check.h"

namespace sinew::model {

std::vector<ops::Value> DitStack::operands() const {
  std::vector<ops::Value> all{x};
  for (size_t i = 0; i < w.size(); ++i) {
    const std::vector<ops::Value> of_block = block(i, x).operands();
    SINEW_CHECK(of_block.size() == kBlockOperands + 1);
    all.insert(all.end(), of_block.begin() + 1, of_block.end());
  }
  return all;
}

ops::Value dit_stack(ops::Builder& b, const DitStack& a,
                     const std::function<void(size_t block, ops::Value rows)>& done) {
  return b.composite(a, [&] {
    ops::Value x = a.x;
    for (size_t i = 0; i < a.w.size(); ++i) {
      x = dit_block(b, a.block(i, x));
      done(i, x);
    }
    return x;
  });
}

}  // namespace sinew::model
