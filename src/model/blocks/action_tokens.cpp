#include "model/blocks/action_tokens.h"

namespace sinew::model {

ops::Value action_tokens(ops::Builder& b, const ActionTokens& a,
                         const std::function<void(ops::Value rows)>& encoded) {
  return b.composite(a, [&] {
    ops::Value rows = action_encoder(b, a.encoder);  // [k, d]
    encoded(rows);
    if (a.positions.valid()) {
      rows = b.add(rows, a.positions);
    }
    return b.concat_rows(a.state, rows);
  });
}

}  // namespace sinew::model
