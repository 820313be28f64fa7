// Proprioceptive state to the network's input vector (spec/preprocessing.md section 5).
#pragma once

#include "preprocess/config/processor_config.h"

#include "sinew/result.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

// One raw state group: f32 [steps, dims], physical units.
struct StateGroup {
  std::string_view key;
  std::span<const float> values;  // [steps * dims]
  int64_t steps = 0;
  int64_t dims = 0;
};

// dst f32 [state_steps, max_state_dim]: groups normalised, concatenated in config order,
// zero-padded. Errors name the key: missing, unexpected number of steps or dims (against the
// statistics), non-finite values.
Status encode_state(const ProcessorConfig& config, std::span<const StateGroup> groups,
                    std::span<float> dst);

// One group by itself, with the rule that applies to it (sin/cos, mean/std, min/max); dst [steps,
// width]. Section 5's table; also what tests compare.
int64_t encoded_width(const ProcessorConfig& config, std::string_view key);
Status encode_state_group(const ProcessorConfig& config, const StateGroup& group,
                          std::span<float> dst);

}  // namespace sinew::preprocess
