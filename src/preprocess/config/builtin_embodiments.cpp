// The tables of spec/preprocessing.md sections 7 and 7.1.
#include "preprocess/config/builtin_embodiments.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace sinew::preprocess {
namespace {

using Name = std::string_view;

constexpr std::array kIds = {
    BuiltinEmbodimentId{"robocasa_panda_omron", 13},
    BuiltinEmbodimentId{"gr1", 20},
    BuiltinEmbodimentId{"behavior_r1_pro", 24},
    BuiltinEmbodimentId{"unitree_g1", 8},
    BuiltinEmbodimentId{"libero_panda", 2},
    BuiltinEmbodimentId{"oxe_google", 0},
    BuiltinEmbodimentId{"oxe_widowx", 1},
    BuiltinEmbodimentId{"oxe_droid", 16},
    BuiltinEmbodimentId{"new_embodiment", 10},
};

constexpr std::array<Name, 1> kG1Video = {"ego_view"};
constexpr std::array<Name, 7> kG1State = {"left_leg",  "right_leg", "waist",     "left_arm",
                                          "right_arm", "left_hand", "right_hand"};
constexpr std::array kG1Action = {
    BuiltinActionKey{"left_arm", true, {}},
    BuiltinActionKey{"right_arm", true, {}},
    BuiltinActionKey{"left_hand", false, {}},
    BuiltinActionKey{"right_hand", false, {}},
    BuiltinActionKey{"waist", false, {}},
    BuiltinActionKey{"base_height_command", false, {}},
    BuiltinActionKey{"navigate_command", false, {}},
};

constexpr std::array<Name, 2> kLiberoVideo = {"image", "wrist_image"};
constexpr std::array<Name, 7> kLiberoState = {"x", "y", "z", "roll", "pitch", "yaw", "gripper"};

// Position, Euler angles, gripper: the action of LIBERO and both OXE single-arm sets.
constexpr std::array kPoseGripperAction = {
    BuiltinActionKey{"x", false, {}},       BuiltinActionKey{"y", false, {}},
    BuiltinActionKey{"z", false, {}},       BuiltinActionKey{"roll", false, {}},
    BuiltinActionKey{"pitch", false, {}},   BuiltinActionKey{"yaw", false, {}},
    BuiltinActionKey{"gripper", false, {}},
};
constexpr std::array<Name, 6> kPoseKeys = {"x", "y", "z", "roll", "pitch", "yaw"};

constexpr std::array<Name, 1> kWidowxVideo = {"image_0"};
constexpr std::array<Name, 8> kWidowxState = {"x",     "y",   "z",   "roll",
                                              "pitch", "yaw", "pad", "gripper"};
constexpr std::array<Name, 1> kGoogleVideo = {"image"};
constexpr std::array<Name, 8> kGoogleState = {"x", "y", "z", "rx", "ry", "rz", "rw", "gripper"};

constexpr std::array<Name, 3> kR1Video = {
    "observation.images.rgb.head_256_256",
    "observation.images.rgb.left_wrist_256_256",
    "observation.images.rgb.right_wrist_256_256",
};
constexpr std::array<Name, 21> kR1State = {
    "robot_pos",          "robot_ori_cos",     "robot_ori_sin",     "robot_2d_ori",
    "robot_2d_ori_cos",   "robot_2d_ori_sin",  "robot_lin_vel",     "robot_ang_vel",
    "arm_left_qpos",      "arm_left_qpos_sin", "arm_left_qpos_cos", "eef_left_pos",
    "eef_left_quat",      "gripper_left_qpos", "arm_right_qpos",    "arm_right_qpos_sin",
    "arm_right_qpos_cos", "eef_right_pos",     "eef_right_quat",    "gripper_right_qpos",
    "trunk_qpos",
};
constexpr std::array kR1Action = {
    BuiltinActionKey{"base", false, {}},
    BuiltinActionKey{"torso", true, "trunk_qpos"},
    BuiltinActionKey{"left_arm", true, "arm_left_qpos"},
    BuiltinActionKey{"left_gripper", false, {}},
    BuiltinActionKey{"right_arm", true, "arm_right_qpos"},
    BuiltinActionKey{"right_gripper", false, {}},
};

constexpr std::array<Name, 2> kDroidVideo = {"exterior_image_1_left", "wrist_image_left"};
constexpr std::array<Name, 2> kDroidState = {"joint_position", "gripper_position"};
constexpr std::array kDroidAction = {
    BuiltinActionKey{"joint_position", true, {}},
    BuiltinActionKey{"gripper_position", false, {}},
};

constexpr std::array kEmbodiments = {
    BuiltinEmbodiment{
        "unitree_g1", kG1Video, kG1State, kG1Action, {}, 30, "annotation.human.task_description"},
    BuiltinEmbodiment{"libero_panda",
                      kLiberoVideo,
                      kLiberoState,
                      kPoseGripperAction,
                      {},
                      16,
                      "annotation.human.action.task_description"},
    BuiltinEmbodiment{"oxe_widowx", kWidowxVideo, kWidowxState, kPoseGripperAction, kPoseKeys, 8,
                      "annotation.human.action.task_description"},
    BuiltinEmbodiment{"oxe_google", kGoogleVideo, kGoogleState, kPoseGripperAction, kPoseKeys, 8,
                      "annotation.human.action.task_description"},
    BuiltinEmbodiment{
        "behavior_r1_pro", kR1Video, kR1State, kR1Action, {}, 32, "annotation.human.coarse_action"},
    BuiltinEmbodiment{"oxe_droid",
                      kDroidVideo,
                      kDroidState,
                      kDroidAction,
                      {},
                      32,
                      "annotation.language.language_instruction"},
};

ModalityConfig one_step(std::span<const std::string_view> keys) {
  ModalityConfig config;
  config.delta_indices = {0};
  config.keys.assign(keys.begin(), keys.end());
  return config;
}

}  // namespace

std::span<const BuiltinEmbodimentId> builtin_embodiment_ids() {
  return kIds;
}

std::span<const BuiltinEmbodiment> builtin_embodiments() {
  return kEmbodiments;
}

std::optional<int64_t> builtin_embodiment_id(std::string_view tag) {
  const auto* const found = std::ranges::find(kIds, tag, &BuiltinEmbodimentId::tag);
  if (found == kIds.end()) {
    return std::nullopt;
  }
  return found->id;
}

const BuiltinEmbodiment* find_builtin_embodiment(std::string_view tag) {
  const auto* const found = std::ranges::find(kEmbodiments, tag, &BuiltinEmbodiment::tag);
  return found == kEmbodiments.end() ? nullptr : found;
}

Modalities builtin_modalities(const BuiltinEmbodiment& embodiment) {
  Modalities modalities;
  modalities.video = one_step(embodiment.video_keys);
  modalities.state = one_step(embodiment.state_keys);
  modalities.language = one_step(std::span(&embodiment.language_key, 1));

  ModalityConfig& action = modalities.action;
  for (int64_t step = 0; step < embodiment.action_steps; ++step) {
    action.delta_indices.push_back(step);
  }
  for (const BuiltinActionKey& key : embodiment.action_keys) {
    action.keys.emplace_back(key.name);
    ActionConfig& config = action.action_configs.emplace_back();
    config.representation =
        key.relative ? ActionRepresentation::kRelative : ActionRepresentation::kAbsolute;
    config.state_key = std::string(key.state_key);
  }
  action.mean_std_keys.assign(embodiment.mean_std_action_keys.begin(),
                              embodiment.mean_std_action_keys.end());
  return modalities;
}

}  // namespace sinew::preprocess
