// The network's normalised chunk to actions in physical units, and the forward direction for
// statistics and tests (spec/preprocessing.md section 6).
#pragma once

#include "preprocess/config/processor_config.h"
#include "preprocess/state/state.h"

#include "sinew/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sinew::preprocess {

// Where each action key lies in the network's output and in the decoded chunk; settled at load.
struct ActionKeyLayout {
  std::string key;
  int64_t offset = 0;       // first dimension in the normalised vector
  int64_t dims = 0;         // D_k of the absolute action statistics
  int64_t output_dims = 0;  // of the decoded action: D_k, or 6 for XYZ_ROTVEC
};

std::vector<ActionKeyLayout> action_layout(const ProcessorConfig& config);

// normalized f32 [horizon, max_action_dim] -> one f32 [action_steps, output_dims] a key, in the
// order of action_layout; dst[i] must have that size. `state` holds the raw groups that relative
// keys refer to. Fails when horizon < action_steps, a reference state is missing or of the wrong
// width.
Status decode_action(const ProcessorConfig& config, std::span<const float> normalized,
                     int64_t horizon, std::span<const StateGroup> state,
                     std::span<const std::span<float>> dst);

// The same in f64 before the final cast, for one key; EEF with DEFAULT format gives [steps, 4, 4]
// matrices here.
Status decode_action_key(const ProcessorConfig& config, size_t key_index,
                         std::span<const float> normalized, int64_t horizon,
                         std::span<const StateGroup> state, std::vector<double>& dst);

// Raw actions f32 [action_steps, dims] of one key -> normalised f64 [action_steps, dims] (relative
// first, then scaled and clipped): section 6, "forward direction".
Status encode_action_key(const ProcessorConfig& config, size_t key_index,
                         std::span<const float> raw, std::span<const StateGroup> state,
                         std::vector<double>& dst);

}  // namespace sinew::preprocess
