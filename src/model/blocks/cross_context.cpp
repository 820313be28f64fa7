#include "model/blocks/cross_context.h"

namespace sinew::model {

std::vector<ops::Value> CrossContext::operands() const {
  std::vector<ops::Value> all{rows};
  for (const DitBlockWeights* const w : blocks) {
    all.insert(all.end(), {w->k_w, w->k_b, w->v_w, w->v_b});
  }
  return all;
}

std::vector<KeyValue> cross_context(ops::Builder& b, const CrossContext& a) {
  std::vector<KeyValue> context;
  b.composite(a, [&] {
    std::vector<ops::Value> results;
    for (const DitBlockWeights* const w : a.blocks) {
      context.push_back({b.linear(a.rows, w->k_w, w->k_b), b.linear(a.rows, w->v_w, w->v_b)});
      results.insert(results.end(), {context.back().k, context.back().v});
    }
    return results;
  });
  return context;
}

}  // namespace sinew::model
