// A two-layer perceptron whose weights belong to one embodiment: the state encoder and the action
// decoder (spec/model.md sections 7.1 and 8.4).  out = relu(x W1 + b1) W2 + b2
#pragma once

#include "ops/builder.h"

#include <string_view>
#include <vector>

namespace sinew::model {

struct EmbodimentMlpWeights {
  ops::Value hidden_w, hidden_b;  // [k, f], [f]: stored [in, out], the slice of this embodiment
  ops::Value out_w, out_b;        // [f, n], [n]
};

struct EmbodimentMlp {
  static constexpr std::string_view kName = "embodiment_mlp";
  static constexpr int kVersion = 1;

  ops::Value x;  // [t, k]
  EmbodimentMlpWeights w;

  std::vector<ops::Value> operands() const { return {x, w.hidden_w, w.hidden_b, w.out_w, w.out_b}; }
};

// -> [t, n]
ops::Value embodiment_mlp(ops::Builder& b, const EmbodimentMlp& a);

}  // namespace sinew::model
