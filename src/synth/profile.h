// The checkpoints that can be made up: N1.6 at its true sizes, and a small one for tests. Numbers
// only; the files are written from them.
#pragma once

#include "model/gr00t_n1d6/config.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sinew::synth {

// A group of joints of the made-up robot.
struct JointGroup {
  std::string_view key;
  int64_t dims = 0;
  bool is_relative = false;  // actions are differences from the state
};

struct EmbodimentSlot {
  std::string_view tag;
  int64_t slot = 0;
};

struct Profile {
  std::string_view name;  // as the command line has it
  model::gr00t_n1d6::Config network;
  int64_t language_layers_nominal = 0;  // num_hidden_layers of the VLM's config
  int64_t first_added_token = 0;        // id of <|endoftext|>; the others follow
  size_t shard_bytes = 0;               // at most so many bytes of tensors a file
  std::string_view embodiment_tag;      // the one that has statistics
  std::vector<EmbodimentSlot> slots;
  std::vector<std::string_view> cameras;
  std::vector<JointGroup> joints;
  int64_t action_steps = 0;  // length of the action's delta_indices
};

// kUsage lists the names.
Result<Profile> find_profile(std::string_view name);

std::span<const std::string_view> profile_names();

}  // namespace sinew::synth
