#include "model/blocks/embodiment_mlp.h"

namespace sinew::model {

ops::Value embodiment_mlp(ops::Builder& b, const EmbodimentMlp& a) {
  return b.composite(a, [&] {
    const ops::Value hidden =
        b.relu(b.linear(a.x, a.w.hidden_w, a.w.hidden_b, /*weights_in_out=*/true));  // [t, f]
    return b.linear(hidden, a.w.out_w, a.w.out_b, /*weights_in_out=*/true);
  });
}

}  // namespace sinew::model
