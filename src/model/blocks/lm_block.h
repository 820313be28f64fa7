// One decoder layer of the language model (Qwen3; spec/model.md section 5.2): grouped-query causal
// attention with per-head q/k RMS norms and rotary positions, then a SwiGLU feed-forward. No
// biases.
#pragma once

#include "ops/builder.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace sinew::model {

struct LmBlockWeights {
  ops::Value input_norm;      // [d]
  ops::Value q_w, k_w, v_w;   // [h*e, d], [g*e, d], [g*e, d]
  ops::Value q_norm, k_norm;  // [e]
  ops::Value out_w;           // [d, h*e]
  ops::Value post_norm;       // [d]
  ops::Value gate_w, up_w;    // [f, d]
  ops::Value down_w;          // [d, f]
};

struct LmBlock {
  static constexpr std::string_view kName = "lm_block";
  static constexpr int kVersion = 1;

  ops::Value x;         // [t, d]
  ops::Value cos, sin;  // [t, e/2]
  LmBlockWeights w;
  int64_t heads = 1;
  int64_t kv_heads = 1;
  float epsilon = 0;

  std::vector<ops::Value> operands() const {
    return {x,        cos,      sin,     w.input_norm, w.q_w,    w.k_w,  w.v_w,
            w.q_norm, w.k_norm, w.out_w, w.post_norm,  w.gate_w, w.up_w, w.down_w};
  }
};

// -> [t, d]
ops::Value lm_block(ops::Builder& b, const LmBlock& a);

}  // namespace sinew::model
