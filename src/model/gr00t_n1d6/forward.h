// The GR00T N1.6 network, top to bottom: frames, prompt, state and noise in, a normalised action
// chunk out.
#pragma once

#include "model/gr00t_n1d6/config.h"
#include "ops/plan.h"

#include <cstdint>

namespace sinew::model::gr00t_n1d6 {

// The shapes of one sample: with the Config, everything a recording depends on.
struct SampleShape {
  int64_t views = 0;         // v: frames of the sample, time-major
  int64_t image_height = 0;  // pixels, a multiple of 2 * patch
  int64_t image_width = 0;
  int64_t tokens = 0;          // t: prompt tokens, image tokens included
  int64_t first_position = 0;  // pads to the left of the sample in its batch
  int64_t state_steps = 1;
  int64_t embodiment_id = 0;

  // I: image tokens of the sample.
  int64_t image_tokens(int64_t patch) const {
    return views * (image_height / (2 * patch)) * (image_width / (2 * patch));
  }

  friend bool operator==(const SampleShape&, const SampleShape&) = default;
};

// Inputs, by name: "pixel_values" [v, 3, H, W], "token_ids" [t], "image_rows" [I], "text_rows" [t -
// I] (rows of the prompt), "state" [state_steps, max_state_dim], "noise" [horizon, max_action_dim].
// Output: "action_pred" [horizon, max_action_dim].
// Preconditions (SINEW_CHECK): I > 0, t > I, sides divisible.
ops::Plan record_forward(const Config& config, const SampleShape& shape);

}  // namespace sinew::model::gr00t_n1d6
