// What a policy answers: one chunk of actions in physical units.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sinew {

// Wall-clock times of one call in milliseconds; components that did not run are 0, and so are the
// parts of the network where they were not timed (Policy::set_stage_timing).
struct Timings {
  double preprocess_ms = 0;  // images and state
  double tokenize_ms = 0;
  double network_ms = 0;   // inputs given to outputs there: the three below and what lies between
  double vision_ms = 0;    // tower and projector
  double language_ms = 0;  // language model and vlln
  double action_ms = 0;    // state encoder, cross-attention keys and values, all denoising steps
  std::vector<double> step_ms;  // [denoising steps], parts of action_ms
  double decode_ms = 0;         // normalised to physical units
  double end_to_end_ms = 0;     // observation in, actions out
};

// One action key. Absolute, physical units.
struct ActionValues {
  std::string key;
  int64_t steps = 0;  // rows: length of the policy's action delta_indices
  int64_t dims = 0;
  std::vector<float> values;  // [steps, dims]
};

struct ActionChunk {
  std::vector<ActionValues> actions;  // in the order of the policy's configuration
  std::vector<float> normalized;      // [horizon, max_action_dim], what the network returned
  int64_t horizon = 0;
  int64_t max_action_dim = 0;
  Timings timings;
};

}  // namespace sinew
