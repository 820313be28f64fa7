// Noisy actions and the time of a denoising step to action tokens (spec/model.md section 7.2).
//   z = [x W1 + b1 || tau] W2 + b2;  out = silu(z) W3 + b3
// tau is the same for every row and depends on weights and step alone, so its half of W2 is
// computed once:
//   z = (x W1 + b1) W2[:d] + (tau W2[d:] + b2)
#pragma once

#include "ops/builder.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace sinew::model {

struct ActionEncoderWeights {
  ops::Value in_w, in_b;    // [a, d], [d]; all stored [in, out], the slice of this embodiment
  ops::Value mix_w, mix_b;  // [2d, d], [d]
  ops::Value out_w, out_b;  // [d, d], [d]
};

struct ActionEncoder {
  static constexpr std::string_view kName = "action_encoder";
  static constexpr int kVersion = 1;

  ops::Value x;        // [k, a]
  ops::Value tau_mix;  // [1, d], from action_time()
  ActionEncoderWeights w;

  std::vector<ops::Value> operands() const {
    return {x, tau_mix, w.in_w, w.in_b, w.mix_w, w.out_w, w.out_b};
  }
};

// -> [k, d]
ops::Value action_encoder(ops::Builder& b, const ActionEncoder& a);

// tau(time) W2[d:] + b2 -> [1, d]; call inside Builder::once.
ops::Value action_time(ops::Builder& b, const ActionEncoderWeights& w, int64_t time);

}  // namespace sinew::model
