// One block of the diffusion transformer (AlternateVLDiT; spec/model.md section 8.2).
//   y = x + attn(adaln(x));  out = y + W2 gelu_tanh(W1 ln(y) + b1) + b2
// Odd blocks attend to the sequence itself, even ones to keys and values of the vision-language
// context.
#pragma once

#include "ops/builder.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace sinew::model {

struct DitBlockWeights {
  ops::Value q_w, q_b;            // [d, d], [d]
  ops::Value k_w, k_b, v_w, v_b;  // [d, d] (self) or [d, c] (cross), [d]
  ops::Value out_w, out_b;        // [d, d], [d]
  ops::Value up_w, up_b;          // [f, d], [f]
  ops::Value down_w, down_b;      // [d, f], [d]
};

// Keys and values of one cross-attention block, computed once an observation.
struct KeyValue {
  ops::Value k, v;  // [s, d]
};

// Adaptive norm of one block at one denoising step; depends on weights alone.
struct Modulation {
  ops::Value scale, shift;  // [d]
};

struct DitBlock {
  static constexpr std::string_view kName = "dit_block";
  static constexpr int kVersion = 1;

  ops::Value x;  // [t, d]
  Modulation modulation;
  KeyValue context;  // invalid values: self-attention
  DitBlockWeights w;
  int64_t heads = 1;
  float epsilon = 0;

  std::vector<ops::Value> operands() const {
    return {x,
            modulation.scale,
            modulation.shift,
            context.k,
            context.v,
            w.q_w,
            w.q_b,
            w.k_w,
            w.k_b,
            w.v_w,
            w.v_b,
            w.out_w,
            w.out_b,
            w.up_w,
            w.up_b,
            w.down_w,
            w.down_b};
  }
};

// -> [t, d]
ops::Value dit_block(ops::Builder& b, const DitBlock& a);

}  // namespace sinew::model
