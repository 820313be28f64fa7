#include "model/blocks/vit_block.h"

#include "model/blocks/fused_linear.h"

#include <cmath>

namespace sinew::model {

ops::Value vit_block(ops::Builder& b, const VitBlock& a) {
  return b.composite(a, [&] {
    const int64_t head_dim = b.shape(a.x)[1] / a.heads;
    const ops::AttentionAttributes per_image{
        .heads = a.heads,
        .kv_heads = a.heads,
        .scale = 1.0F / std::sqrt(static_cast<float>(head_dim)),
        .segments = a.images};
    const ops::Value n = b.layer_norm(a.x, a.w.norm1_w, a.w.norm1_b, a.epsilon);  // [v*p, d]
    const ops::Value q = b.linear(n, a.w.q_w, a.w.q_b);
    const ops::Value k = b.linear(n, a.w.k_w, a.w.k_b);
    const ops::Value v = b.linear(n, a.w.v_w, a.w.v_b);
    const ops::Value o = b.attention(q, k, v, per_image);
    const ops::Value y =
        linear_residual(b, {.x = o, .w = a.w.out_w, .b = a.w.out_b, .residual = a.x});
    const ops::Value m = b.layer_norm(y, a.w.norm2_w, a.w.norm2_b, a.epsilon);
    const ops::Value up =
        linear_activation(b, {.x = m, .w = a.w.up_w, .b = a.w.up_b});  // [v*p, f], gelu_tanh
    return linear_residual(b, {.x = up, .w = a.w.down_w, .b = a.w.down_b, .residual = y});
  });
}

}  // namespace sinew::model
