#include "model/blocks/dit_block.h"

#include "model/blocks/fused_linear.h"

#include <cmath>

namespace sinew::model {

ops::Value dit_block(ops::Builder& b, const DitBlock& a) {
  return b.composite(a, [&] {
    const int64_t head_dim = b.shape(a.x)[1] / a.heads;
    const ops::AttentionAttributes full{.heads = a.heads,
                                        .kv_heads = a.heads,
                                        .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
    const ops::Value n = b.modulate(b.layer_norm(a.x, {}, {}, a.epsilon), a.modulation.scale,
                                    a.modulation.shift);  // [t, d]
    const bool is_self = !a.context.k.valid();
    const ops::Value q = b.linear(n, a.w.q_w, a.w.q_b);
    const ops::Value k = is_self ? b.linear(n, a.w.k_w, a.w.k_b) : a.context.k;
    const ops::Value v = is_self ? b.linear(n, a.w.v_w, a.w.v_b) : a.context.v;
    const ops::Value y = linear_residual(
        b, {.x = b.attention(q, k, v, full), .w = a.w.out_w, .b = a.w.out_b, .residual = a.x});
    const ops::Value m = b.layer_norm(y, {}, {}, a.epsilon);
    const ops::Value up =
        linear_activation(b, {.x = m, .w = a.w.up_w, .b = a.w.up_b});  // [t, f], gelu_tanh
    return linear_residual(b, {.x = up, .w = a.w.down_w, .b = a.w.down_b, .residual = y});
  });
}

}  // namespace sinew::model
