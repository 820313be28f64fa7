// What leaves the diffusion transformer at a denoising step, as new actions (spec/model.md sections
// 8.3, 8.4 and 9): adaptive norm, projection, the embodiment's decoder, and the Euler step.
#pragma once

#include "model/blocks/dit_block.h"
#include "model/blocks/embodiment_mlp.h"
#include "ops/builder.h"

#include <functional>
#include <string_view>
#include <vector>

namespace sinew::model {

struct ActionUpdate {
  static constexpr std::string_view kName = "action_update";
  static constexpr int kVersion = 1;

  ops::Value x;  // [t, d]; the last k rows are the actions'
  Modulation modulation;
  ops::Value proj_w, proj_b;  // [o, d], [o]
  EmbodimentMlpWeights decoder;
  ops::Value actions;  // [k, a]
  float epsilon = 0;
  float dt = 0;

  std::vector<ops::Value> operands() const {
    return {x,
            modulation.scale,
            modulation.shift,
            proj_w,
            proj_b,
            decoder.hidden_w,
            decoder.hidden_b,
            decoder.out_w,
            decoder.out_b,
            actions};
  }
};

// -> [k, a]; `projected` and `velocity` see the projection's rows and the decoded ones of the
// actions.
ops::Value action_update(ops::Builder& b, const ActionUpdate& a,
                         const std::function<void(ops::Value rows)>& projected,
                         const std::function<void(ops::Value rows)>& velocity);

}  // namespace sinew::model
