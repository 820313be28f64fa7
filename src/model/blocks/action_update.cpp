#include "model/blocks/action_update.h"

namespace sinew::model {

ops::Value action_update(ops::Builder& b, const ActionUpdate& a,
                         const std::function<void(ops::Value rows)>& projected,
                         const std::function<void(ops::Value rows)>& velocity) {
  return b.composite(a, [&] {
    const ops::Value n = b.modulate(b.layer_norm(a.x, {}, {}, a.epsilon), a.modulation.scale,
                                    a.modulation.shift);  // [t, d]
    const ops::Value y = b.linear(n, a.proj_w, a.proj_b);
    projected(y);
    const ops::Value decoded = embodiment_mlp(b, {.x = y, .w = a.decoder});  // [t, a]
    const int64_t k = b.shape(a.actions)[0];
    const ops::Value v = b.slice_rows(decoded, b.shape(decoded)[0] - k, k);
    velocity(v);
    return b.euler_step(a.actions, v, a.dt);
  });
}

}  // namespace sinew::model
