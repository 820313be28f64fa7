#include "preprocess/action/action.h"

#include "base/check.h"
#include "base/error.h"
#include "preprocess/action/pose.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

namespace sinew::preprocess {
namespace {

int64_t pose_dims(ActionFormat format) {
  switch (format) {
    case ActionFormat::kDefault:
      return kMatrixPoseDims;
    case ActionFormat::kXyzRot6d:
      return kRot6dPoseDims;
    case ActionFormat::kXyzRotvec:
      return kRotvecPoseDims;
  }
  return 0;
}

using PoseRow = std::array<double, kMatrixPoseDims>;

void write_pose(const Pose& pose, ActionFormat format, PoseRow& row) {
  const std::span<double, kMatrixPoseDims> all(row);
  switch (format) {
    case ActionFormat::kDefault:
      return write_matrix(pose, all);
    case ActionFormat::kXyzRot6d:
      return write_rot6d(pose, all.first<kRot6dPoseDims>());
    case ActionFormat::kXyzRotvec:
      return write_rotvec(pose, all.first<kRotvecPoseDims>());
  }
}

std::optional<Pose> pose_from_floats(std::span<const float> numbers) {
  std::array<double, kRot6dPoseDims> row{};
  std::ranges::copy(numbers, row.begin());
  return pose_from_rot6d(row);
}

}  // namespace

ActionDecoder::ActionDecoder(const ProcessorConfig& config)
    : steps_(config.action_steps()), max_dim_(config.max_action_dim), clip_(config.clip_outliers) {
  const ModalityConfig& action = config.modalities.action;
  const std::vector<std::string>& states = config.modalities.state.keys;
  int64_t offset = 0;
  for (size_t i = 0; i < action.keys.size(); ++i) {
    Key key;
    key.scaling = action_scaling(config, i);
    int64_t output_dims = key.scaling.dims;
    if (config.decodes_relative(i)) {
      const ActionConfig& rule = action.action_configs[i];
      const bool is_pose = rule.type == ActionType::kEef;
      key.reference = is_pose ? Reference::kPose : Reference::kJoints;
      key.format = rule.format;
      key.state_key = config.reference_state(i);
      key.state_position =
          static_cast<size_t>(std::ranges::find(states, key.state_key) - states.begin());
      output_dims = is_pose ? pose_dims(rule.format) : output_dims;
      SINEW_CHECK(!is_pose || key.scaling.dims == static_cast<int64_t>(kRot6dPoseDims));
    }
    layout_.push_back({action.keys[i], offset, key.scaling.dims, output_dims});
    offset += key.scaling.dims;
    keys_.push_back(std::move(key));
  }
  SINEW_CHECK(offset <= max_dim_);
}

// The raw values of the last step of the state that a relative key refers to: [dims].
Result<std::span<const float>> ActionDecoder::find_reference(
    size_t key_index, std::span<const StateGroup> state) const {
  const Key& key = keys_[key_index];
  const ActionKeyLayout& layout = layout_[key_index];
  const StateGroup* const group = find_state_group(state, key.state_key, key.state_position);
  if (group == nullptr) {
    return not_found("state \"{}\" is missing: the action \"{}\" is relative to it", key.state_key,
                     layout.key);
  }
  const auto dims = static_cast<size_t>(layout.dims);
  const size_t values = group->values.size();
  if (group->dims != layout.dims || group->steps < 1 || values % dims != 0 ||
      values / dims != static_cast<size_t>(group->steps)) {
    return bad_input(
        "state \"{}\": expected at least 1 step of {} dimensions for the relative "
        "action \"{}\", found [{}, {}] with {} values",
        key.state_key, dims, layout.key, group->steps, group->dims, values);
  }
  const std::span<const float> last = group->values.last(dims);
  const auto bad = std::ranges::find_if(last, [](float x) { return !std::isfinite(x); });
  if (bad != last.end()) {
    return bad_input("state \"{}\": expected finite numbers, found {} at dimension {}",
                     key.state_key, *bad, bad - last.begin());
  }
  return last;
}

template <class T>
Status ActionDecoder::decode_poses(size_t key_index, std::span<const float> normalized,
                                   std::span<const float> reference, std::span<T> dst) const {
  const Key& key = keys_[key_index];
  const ActionKeyLayout& layout = layout_[key_index];
  const std::optional<Pose> base = pose_from_floats(reference);
  if (!base.has_value()) {
    return bad_input(
        "state \"{}\": its last 6 dimensions are no rotation: expected two rows of a "
        "rotation matrix, found zero or parallel ones",
        key.state_key);
  }
  const auto width = static_cast<size_t>(layout.output_dims);
  for (int64_t step = 0; step < steps_; ++step) {
    const std::span<const float> src =
        normalized.subspan(static_cast<size_t>(step * max_dim_ + layout.offset), kRot6dPoseDims);
    std::array<double, kRot6dPoseDims> relative{};
    for (size_t d = 0; d < kRot6dPoseDims; ++d) {
      relative[d] =
          unnormalize(key.scaling, key.scaling.index(step, static_cast<int64_t>(d)), src[d]);
    }
    const std::optional<Pose> pose = pose_from_rot6d(relative);
    if (!pose.has_value()) {
      return internal_error("action \"{}\": the network predicts no rotation at step {}",
                            layout.key, step);
    }
    PoseRow row{};
    write_pose(compose(*base, *pose), key.format, row);
    for (size_t d = 0; d < width; ++d) {
      dst[static_cast<size_t>(step) * width + d] = static_cast<T>(row[d]);
    }
  }
  return {};
}

template <class T>
Status ActionDecoder::decode_rows(size_t key_index, std::span<const float> normalized,
                                  int64_t horizon, std::span<const StateGroup> state,
                                  std::span<T> dst) const {
  const Key& key = keys_[key_index];
  const ActionKeyLayout& layout = layout_[key_index];
  SINEW_CHECK(dst.size() == static_cast<size_t>(steps_ * layout.output_dims));
  if (horizon < steps_) {
    return bad_input("action \"{}\": needs {} steps, the network's horizon is {}", layout.key,
                     steps_, horizon);
  }
  SINEW_CHECK(normalized.size() == static_cast<size_t>(horizon * max_dim_));
  std::span<const float> reference;
  if (key.reference != Reference::kNone) {
    SINEW_ASSIGN(reference, find_reference(key_index, state));
  }
  if (key.reference == Reference::kPose) {
    return decode_poses(key_index, normalized, reference, dst);
  }
  for (int64_t step = 0; step < steps_; ++step) {
    for (int64_t d = 0; d < layout.dims; ++d) {
      const float src = normalized[static_cast<size_t>(step * max_dim_ + layout.offset + d)];
      double value = unnormalize(key.scaling, key.scaling.index(step, d), src);
      if (key.reference == Reference::kJoints) {
        value += reference[static_cast<size_t>(d)];
      }
      dst[static_cast<size_t>(step * layout.dims + d)] = static_cast<T>(value);
    }
  }
  return {};
}

Status ActionDecoder::decode(std::span<const float> normalized, int64_t horizon,
                             std::span<const StateGroup> state,
                             std::span<const std::span<float>> dst) const {
  SINEW_CHECK(dst.size() == keys_.size());
  for (size_t i = 0; i < keys_.size(); ++i) {
    SINEW_TRY(decode_rows(i, normalized, horizon, state, dst[i]));
  }
  return {};
}

Status ActionDecoder::decode_key(size_t key_index, std::span<const float> normalized,
                                 int64_t horizon, std::span<const StateGroup> state,
                                 std::span<double> dst) const {
  SINEW_CHECK(key_index < keys_.size());
  return decode_rows(key_index, normalized, horizon, state, dst);
}

// Poses relative to the reference: raw f32 [steps, 9] -> f64 [steps, 9].
Status ActionDecoder::encode_poses(size_t key_index, std::span<const float> raw,
                                   std::span<const float> reference, std::span<double> dst) const {
  const Key& key = keys_[key_index];
  const std::string& name = layout_[key_index].key;
  if (key.format != ActionFormat::kXyzRot6d) {
    return unsupported(
        "action \"{}\": only relative EEF actions of the format XYZ_ROT6D can be "
        "normalised",
        name);
  }
  const std::optional<Pose> base = pose_from_floats(reference);
  if (!base.has_value()) {
    return bad_input("state \"{}\": its last 6 dimensions are no rotation", key.state_key);
  }
  const Pose to_base = inverse(*base);
  for (size_t step = 0; step < static_cast<size_t>(steps_); ++step) {
    const size_t begin = step * kRot6dPoseDims;
    const std::optional<Pose> pose = pose_from_floats(raw.subspan(begin, kRot6dPoseDims));
    if (!pose.has_value()) {
      return bad_input("action \"{}\": no rotation at step {}", name, step);
    }
    write_rot6d(compose(to_base, *pose), dst.subspan(begin).first<kRot6dPoseDims>());
  }
  return {};
}

Status ActionDecoder::encode_key(size_t key_index, std::span<const float> raw,
                                 std::span<const StateGroup> state, std::span<double> dst) const {
  SINEW_CHECK(key_index < keys_.size());
  const Key& key = keys_[key_index];
  const ActionKeyLayout& layout = layout_[key_index];
  const auto values = static_cast<size_t>(steps_ * layout.dims);
  SINEW_CHECK(dst.size() == values);
  if (raw.size() != values) {
    return bad_input("action \"{}\": expected {} values ([{}, {}]), found {}", layout.key, values,
                     steps_, layout.dims, raw.size());
  }
  std::ranges::copy(raw, dst.begin());
  if (key.reference != Reference::kNone) {
    SINEW_ASSIGN(const std::span<const float> reference, find_reference(key_index, state));
    if (key.reference == Reference::kPose) {
      SINEW_TRY(encode_poses(key_index, raw, reference, dst));
    } else {
      for (size_t i = 0; i < values; ++i) {
        dst[i] -= reference[i % reference.size()];
      }
    }
  }
  // The original keeps relative actions in f64 and absolute ones in f32.
  const bool is_relative = key.reference != Reference::kNone;
  for (size_t i = 0; i < values; ++i) {
    const size_t entry = key.scaling.steps == 1 ? i % static_cast<size_t>(layout.dims) : i;
    const double value = is_relative ? normalize(key.scaling, entry, dst[i])
                                     : normalize(key.scaling, entry, static_cast<float>(dst[i]));
    dst[i] = clip_ ? std::clamp(value, -1.0, 1.0) : value;
  }
  return {};
}

std::vector<ActionKeyLayout> action_layout(const ProcessorConfig& config) {
  const ActionDecoder decoder(config);
  return {decoder.layout().begin(), decoder.layout().end()};
}

Status decode_action(const ProcessorConfig& config, std::span<const float> normalized,
                     int64_t horizon, std::span<const StateGroup> state,
                     std::span<const std::span<float>> dst) {
  return ActionDecoder(config).decode(normalized, horizon, state, dst);
}

Status decode_action_key(const ProcessorConfig& config, size_t key_index,
                         std::span<const float> normalized, int64_t horizon,
                         std::span<const StateGroup> state, std::vector<double>& dst) {
  const ActionDecoder decoder(config);
  SINEW_CHECK(key_index < decoder.layout().size());
  dst.assign(static_cast<size_t>(config.action_steps() * decoder.layout()[key_index].output_dims),
             0.0);
  return decoder.decode_key(key_index, normalized, horizon, state, dst);
}

Status encode_action_key(const ProcessorConfig& config, size_t key_index,
                         std::span<const float> raw, std::span<const StateGroup> state,
                         std::vector<double>& dst) {
  const ActionDecoder decoder(config);
  SINEW_CHECK(key_index < decoder.layout().size());
  dst.assign(static_cast<size_t>(config.action_steps() * decoder.layout()[key_index].dims), 0.0);
  return decoder.encode_key(key_index, raw, state, dst);
}

}  // namespace sinew::preprocess
