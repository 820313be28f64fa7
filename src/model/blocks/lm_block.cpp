#include "model/blocks/lm_block.h"

#include "model/blocks/fused_linear.h"

#include <cmath>

namespace sinew::model {
namespace {

// RMS norm over each head: x [t, h*e] -> [t, h*e], weight [e].
ops::Value head_norm(ops::Builder& b, ops::Value x, ops::Value w, float epsilon) {
  const Shape shape = b.shape(x);
  const int64_t e = b.shape(w).elements();
  const ops::Value heads = b.reshape(x, {shape.elements() / e, e});
  return b.reshape(b.rms_norm(heads, w, epsilon), shape);
}

}  // namespace

ops::Value lm_block(ops::Builder& b, const LmBlock& a) {
  return b.composite(a, [&] {
    const int64_t head_dim = b.shape(a.w.q_norm).elements();
    const ops::AttentionAttributes causal{.heads = a.heads,
                                          .kv_heads = a.kv_heads,
                                          .scale = 1.0F / std::sqrt(static_cast<float>(head_dim)),
                                          .is_causal = true};
    const ops::Value n = b.rms_norm(a.x, a.w.input_norm, a.epsilon);  // [t, d]
    const ops::Value q = head_norm(b, b.linear(n, a.w.q_w, {}), a.w.q_norm, a.epsilon);
    const ops::Value k = head_norm(b, b.linear(n, a.w.k_w, {}), a.w.k_norm, a.epsilon);
    const ops::Value v = b.linear(n, a.w.v_w, {});
    const ops::Value o = b.attention(b.rope(q, a.cos, a.sin, a.heads),
                                     b.rope(k, a.cos, a.sin, a.kv_heads), v, causal);
    const ops::Value y = linear_residual(b, {.x = o, .w = a.w.out_w, .b = {}, .residual = a.x});
    const ops::Value m = b.rms_norm(y, a.w.post_norm, a.epsilon);
    const ops::Value gated = swiglu(b, {.x = m, .gate_w = a.w.gate_w, .up_w = a.w.up_w});  // [t, f]
    return linear_residual(b, {.x = gated, .w = a.w.down_w, .b = {}, .residual = y});
  });
}

}  // namespace sinew::model
