#include "model/blocks/embodiment_mlp.h"

#include "model/blocks/fused_linear.h"

namespace sinew::model {

ops::Value embodiment_mlp(ops::Builder& b, const EmbodimentMlp& a) {
  return b.composite(a, [&] {
    const ops::Value hidden = linear_activation(b, {.x = a.x,
                                                    .w = a.w.hidden_w,
                                                    .b = a.w.hidden_b,
                                                    .activation = Activation::kRelu,
                                                    .weights_in_out = true});  // [t, f]
    return b.linear(hidden, a.w.out_w, a.w.out_b, /*weights_in_out=*/true);
  });
}

}  // namespace sinew::model
