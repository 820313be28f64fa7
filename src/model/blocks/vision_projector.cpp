#include "model/blocks/vision_projector.h"

#include "model/blocks/fused_linear.h"

namespace sinew::model {

ops::Value vision_projector(ops::Builder& b, const VisionProjector& a) {
  return b.composite(a, [&] {
    const ops::Value z = b.pixel_shuffle(a.x, a.rows, a.columns);  // [v*p/4, 4d]
    b.site("vis.pixel_shuffle", z);
    const ops::Value n = b.layer_norm(z, a.w.norm_w, a.w.norm_b, a.epsilon);
    const ops::Value up = linear_activation(
        b, {.x = n, .w = a.w.up_w, .b = a.w.up_b, .activation = Activation::kGeluErf});
    return b.linear(up, a.w.out_w, a.w.out_b);
  });
}

}  // namespace sinew::model
