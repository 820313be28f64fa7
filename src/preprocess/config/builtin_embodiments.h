// What is known about an embodiment when the checkpoint does not say it: projector ids and modality
// configurations (spec/preprocessing.md sections 7 and 7.1). Data only; resolve_processor_config
// puts it to use.
#pragma once

#include "preprocess/config/processor_config.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sinew::preprocess {

struct BuiltinEmbodimentId {
  std::string_view tag;
  int64_t id = 0;
};

// An action key; a relative one is NON_EEF and refers to `state_key`, or to the state of its own
// name.
struct BuiltinActionKey {
  std::string_view name;
  bool relative = false;
  std::string_view state_key;
};

// One time step of video and state; actions for steps 0 .. action_steps - 1.
struct BuiltinEmbodiment {
  std::string_view tag;
  std::span<const std::string_view> video_keys;
  std::span<const std::string_view> state_keys;
  std::span<const BuiltinActionKey> action_keys;
  std::span<const std::string_view> mean_std_action_keys;
  int64_t action_steps = 0;
  std::string_view language_key;
};

std::span<const BuiltinEmbodimentId> builtin_embodiment_ids();
std::span<const BuiltinEmbodiment> builtin_embodiments();

std::optional<int64_t> builtin_embodiment_id(std::string_view tag);

// nullptr when the table has no configuration for the tag.
const BuiltinEmbodiment* find_builtin_embodiment(std::string_view tag);

Modalities builtin_modalities(const BuiltinEmbodiment& embodiment);

}  // namespace sinew::preprocess
