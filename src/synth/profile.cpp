#include "synth/profile.h"

#include "base/error.h"

#include <fmt/ranges.h>

#include <array>

namespace sinew::synth {
namespace {

constexpr std::array<std::string_view, 2> kNames{"n1.6-3b", "nano"};

// spec/checkpoint.md sections 2 to 6.
Profile n16() {
  Profile p;
  p.name = kNames[0];
  p.network.max_state_dim = 128;
  p.network.max_action_dim = 128;
  p.network.hidden = 1024;
  p.network.max_embodiments = 32;
  p.network.max_seq_len = 1024;
  p.network.checkpoint_horizon = 50;
  p.network.image_token_id = 151669;
  p.language_layers_nominal = 28;
  p.first_added_token = 151643;
  p.shard_bytes = 5'000'000'000;
  p.slots = {{"oxe_google", 0},      {"oxe_widowx", 1},
             {"libero_panda", 2},    {"unitree_g1", 8},
             {"new_embodiment", 10}, {"robocasa_panda_omron", 13},
             {"oxe_droid", 16},      {"gr1", 20},
             {"behavior_r1_pro", 24}};
  return p;
}

// The sizes of the recorded small checkpoint (tests/golden/README.md).
Profile nano() {
  Profile p;
  p.name = kNames[1];
  model::gr00t_n1d6::Config& n = p.network;
  n.vision.layers = 3;
  n.vision.width = 144;
  n.vision.ffn = 96;
  n.vision.heads = 2;
  n.language.layers = 2;
  n.language.width = 64;
  n.language.ffn = 160;
  n.language.heads = 2;
  n.language.kv_heads = 1;
  n.language.vocabulary = 896;
  n.dit.layers = 4;
  n.dit.heads = 2;
  n.dit.ffn = 384;
  n.dit.output_dim = 64;
  n.max_state_dim = 32;
  n.max_action_dim = 32;
  n.hidden = 64;
  n.max_embodiments = 4;
  n.max_seq_len = 64;
  n.checkpoint_horizon = 16;
  n.image_token_id = 885;
  p.language_layers_nominal = 3;
  p.first_added_token = 859;
  p.shard_bytes = 700'000;
  p.slots = {{"oxe_google", 0}, {"libero_panda", 1}, {"new_embodiment", 2}, {"unitree_g1", 3}};
  return p;
}

}  // namespace

std::span<const std::string_view> profile_names() {
  return kNames;
}

Result<Profile> find_profile(std::string_view name) {
  if (name != kNames[0] && name != kNames[1]) {
    return usage_error("expected {}, found \"{}\"", fmt::join(kNames, " or "), name);
  }
  Profile p = name == kNames[0] ? n16() : nano();
  p.embodiment_tag = "new_embodiment";
  p.cameras = {"front", "wrist"};
  p.joints = {{"single_arm", 5, true}, {"gripper", 1, false}};
  p.action_steps = 16;
  return p;
}

}  // namespace sinew::synth
