#include "preprocess/state/state.h"

#include "base/check.h"
#include "base/error.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sinew::preprocess {
namespace {

// One row of a group: src [dims] -> dst [width].
void encode_row(const Scaling& scaling, bool clip, std::span<const float> src,
                std::span<float> dst) {
  if (scaling.kind == ScalingKind::kSinCos) {
    for (size_t i = 0; i < src.size(); ++i) {
      dst[i] = static_cast<float>(std::sin(double{src[i]}));
      dst[src.size() + i] = static_cast<float>(std::cos(double{src[i]}));
    }
    return;
  }
  const bool clamps = clip && scaling.kind != ScalingKind::kMeanStd;
  for (size_t i = 0; i < src.size(); ++i) {
    const float value = normalize(scaling, i, src[i]);
    dst[i] = clamps ? std::clamp(value, -1.0F, 1.0F) : value;
  }
}

}  // namespace

const StateGroup* find_state_group(std::span<const StateGroup> groups, std::string_view key,
                                   size_t expected) {
  if (expected < groups.size() && groups[expected].key == key) {
    return &groups[expected];
  }
  const auto found = std::ranges::find(groups, key, &StateGroup::key);
  return found == groups.end() ? nullptr : &*found;
}

StateEncoder::StateEncoder(const ProcessorConfig& config)
    : tag_(config.embodiment_tag),
      steps_(config.state_steps()),
      max_dim_(config.max_state_dim),
      clip_(config.clip_outliers) {
  int64_t offset = 0;
  for (const std::string& name : config.modalities.state.keys) {
    Key key{name, state_scaling(config, name), offset, 0};
    key.width = key.scaling.dims * (key.scaling.kind == ScalingKind::kSinCos ? 2 : 1);
    offset += key.width;
    keys_.push_back(std::move(key));
  }
  SINEW_CHECK(offset <= max_dim_);
}

const StateEncoder::Key* StateEncoder::find(std::string_view name) const {
  const auto found = std::ranges::find(keys_, name, &Key::name);
  return found == keys_.end() ? nullptr : &*found;
}

int64_t StateEncoder::width(std::string_view key) const {
  const Key* const found = find(key);
  return found == nullptr ? 0 : found->width;
}

Status StateEncoder::check(const Key& key, const StateGroup& group) const {
  const int64_t dims = key.scaling.dims;
  if (group.steps != steps_ || group.dims != dims ||
      group.values.size() != static_cast<size_t>(steps_ * dims)) {
    return bad_input(
        "state \"{}\": expected [{}, {}] (steps, dimensions), found [{}, {}] with {} "
        "values",
        key.name, steps_, dims, group.steps, group.dims, group.values.size());
  }
  for (size_t i = 0; i < group.values.size(); ++i) {
    if (!std::isfinite(group.values[i])) {
      const auto width = static_cast<size_t>(dims);
      return bad_input("state \"{}\": expected finite numbers, found {} at step {}, dimension {}",
                       key.name, group.values[i], i / width, i % width);
    }
  }
  return {};
}

Status StateEncoder::encode(std::span<const StateGroup> groups, std::span<float> dst) const {
  SINEW_CHECK(dst.size() == static_cast<size_t>(steps_ * max_dim_));
  std::ranges::fill(dst, 0.0F);
  for (size_t i = 0; i < keys_.size(); ++i) {
    const Key& key = keys_[i];
    const StateGroup* const group = find_state_group(groups, key.name, i);
    if (group == nullptr) {
      return not_found("state \"{}\" is missing: the embodiment {} needs it", key.name, tag_);
    }
    SINEW_TRY(check(key, *group));
    const auto dims = static_cast<size_t>(key.scaling.dims);
    for (int64_t step = 0; step < steps_; ++step) {
      encode_row(key.scaling, clip_, group->values.subspan(static_cast<size_t>(step) * dims, dims),
                 dst.subspan(static_cast<size_t>(step * max_dim_ + key.offset),
                             static_cast<size_t>(key.width)));
    }
  }
  return {};
}

Status StateEncoder::encode_group(const StateGroup& group, std::span<float> dst) const {
  const Key* const key = find(group.key);
  if (key == nullptr) {
    return not_found("state \"{}\" is no state of the embodiment {}", group.key, tag_);
  }
  SINEW_CHECK(dst.size() == static_cast<size_t>(steps_ * key->width));
  SINEW_TRY(check(*key, group));
  const auto dims = static_cast<size_t>(key->scaling.dims);
  const auto width = static_cast<size_t>(key->width);
  for (size_t step = 0; step < static_cast<size_t>(steps_); ++step) {
    encode_row(key->scaling, clip_, group.values.subspan(step * dims, dims),
               dst.subspan(step * width, width));
  }
  return {};
}

Status encode_state(const ProcessorConfig& config, std::span<const StateGroup> groups,
                    std::span<float> dst) {
  return StateEncoder(config).encode(groups, dst);
}

Status encode_state_group(const ProcessorConfig& config, const StateGroup& group,
                          std::span<float> dst) {
  return StateEncoder(config).encode_group(group, dst);
}

int64_t encoded_width(const ProcessorConfig& config, std::string_view key) {
  return StateEncoder(config).width(key);
}

}  // namespace sinew::preprocess
