// One pre-norm layer of the vision tower (SigLIP2; spec/model.md section 3.4).
//   y = x + attn(ln1(x));  out = y + W2 gelu_tanh(W1 ln2(y) + b1) + b2
#pragma once

#include "ops/builder.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace sinew::model {

struct VitBlockWeights {
  ops::Value norm1_w, norm1_b;              // [d]
  ops::Value q_w, q_b, k_w, k_b, v_w, v_b;  // [d, d], [d]
  ops::Value out_w, out_b;                  // [d, d], [d]
  ops::Value norm2_w, norm2_b;              // [d]
  ops::Value up_w, up_b;                    // [f, d], [f]
  ops::Value down_w, down_b;                // [d, f], [d]
};

struct VitBlock {
  static constexpr std::string_view kName = "vit_block";
  static constexpr int kVersion = 1;

  ops::Value x;  // [v*p, d]: the patches of all images; attention stays inside an image
  VitBlockWeights w;
  int64_t images = 1;  // v
  int64_t heads = 1;
  float epsilon = 0;

  std::vector<ops::Value> operands() const {
    return {x,       w.norm1_w, w.norm1_b, w.q_w,     w.q_b,  w.k_w,  w.k_b,    w.v_w,   w.v_b,
            w.out_w, w.out_b,   w.norm2_w, w.norm2_b, w.up_w, w.up_b, w.down_w, w.down_b};
  }
};

// -> [v*p, d]
ops::Value vit_block(ops::Builder& b, const VitBlock& a);

}  // namespace sinew::model
