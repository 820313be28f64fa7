// The GR00T N1.6 network, top to bottom: frames, prompt, state and noise in, a normalised action
// chunk out.
#pragma once

#include "model/gr00t_n1d6/config.h"
#include "model/network.h"
#include "ops/plan.h"

#include <cstdint>

namespace sinew::model::gr00t_n1d6 {

// The rest of what a recording depends on besides the Config and the sample's shapes.
struct EmbodimentShape {
  int64_t embodiment_id = 0;
  int64_t state_steps = 1;
};

// The inputs, output and stages of model/network.h.
ops::Plan record_forward(const Config& config, const SampleShape& shape,
                         const EmbodimentShape& embodiment);

}  // namespace sinew::model::gr00t_n1d6
