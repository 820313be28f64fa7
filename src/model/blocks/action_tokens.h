// What enters the diffusion transformer at a denoising step (spec/model.md sections 7.2 and 8): the
// state's rows, then encoded actions at their positions.
#pragma once

#include "model/blocks/action_encoder.h"
#include "ops/builder.h"

#include <functional>
#include <string_view>
#include <vector>

namespace sinew::model {

struct ActionTokens {
  static constexpr std::string_view kName = "action_tokens";
  static constexpr int kVersion = 1;

  ActionEncoder encoder;
  ops::Value positions;  // [k, d]; invalid: none
  ops::Value state;      // [s, d]

  std::vector<ops::Value> operands() const {
    std::vector<ops::Value> all = encoder.operands();
    all.push_back(positions);
    all.push_back(state);
    return all;
  }
};

// -> [s + k, d]; `encoded` sees the encoder's rows.
ops::Value action_tokens(ops::Builder& b, const ActionTokens& a,
                         const std::function<void(ops::Value rows)>& encoded);

}  // namespace sinew::model
