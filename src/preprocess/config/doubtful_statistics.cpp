// Statistics that can be used but hardly be right: numbers that no set of data has together, ranges
// that a few outliers made, relative actions with the statistics of absolute ones.
#include "preprocess/config/parse.h"
#include "preprocess/config/scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace sinew::preprocess {
namespace {

// Statistics are f32 accumulated in one order or another, and merged over data sets.
constexpr double kRounding = 1e-3;
// [min, max] this many times as wide as [q01, q99]: what is within the percentiles is normalised to
// a twentieth of the range.
constexpr double kStretched = 20;
constexpr double kSameRange = 0.01;

struct Place {
  size_t at = 0;
  double value = 0;
  double low = 0;
  double high = 0;
};

// The first value of `values` that is not within [min, max].
std::optional<Place> find_outside(const Statistics& statistics, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    const double low = statistics.min[i];
    const double high = statistics.max[i];
    const double margin = kRounding * (high - low) + 1e-6 * std::max(std::abs(low), std::abs(high));
    if (!std::isfinite(values[i]) || !std::isfinite(margin)) {
      continue;
    }
    if (values[i] < low - margin || values[i] > high + margin) {
      return Place{i, values[i], low, high};
    }
  }
  return std::nullopt;
}

// A mean lies between the least and the greatest value, and so do percentiles: others are left from
// another data set, or one array was edited by hand. Weighted merges keep both.
void check_together(const std::string& where, const Statistics& statistics, ScalingKind kind,
                    std::vector<std::string>& warnings) {
  const auto check = [&](const char* name, const std::vector<double>& values) {
    if (const auto place = find_outside(statistics, values)) {
      warnings.push_back(fmt::format(
          "{}: \"{}\" is {:.6g} at index {}, but \"min\" and \"max\" are {:.6g} and {:.6g}: no "
          "data has all three; were the statistics edited, or put together from two data sets?",
          where, name, place->value, place->at, place->low, place->high));
    }
  };
  if (kind == ScalingKind::kQuantiles) {
    check("q01", statistics.q01);
    check("q99", statistics.q99);
  } else if (kind != ScalingKind::kSinCos) {
    check("mean", statistics.mean);
  }
}

void note_stretched(const std::string& where, const Statistics& statistics,
                    std::vector<std::string>& notices) {
  for (size_t i = 0; i < statistics.min.size(); ++i) {
    const double range = statistics.max[i] - statistics.min[i];
    const double usual = statistics.q99[i] - statistics.q01[i];
    if (std::isfinite(range) && !is_dead_range(statistics.q01[i], statistics.q99[i]) && usual > 0 &&
        range > kStretched * usual) {
      notices.push_back(fmt::format(
          "{}: \"min\" to \"max\" is {:.0f} times as wide as \"q01\" to \"q99\" at index {}: a few "
          "outliers set the range, since use_percentiles is false",
          where, range / usual, i));
      return;
    }
  }
}

// Whether the first step of a relative action, which is close to its state, has the range of the
// absolute action.
bool looks_absolute(const Statistics& relative, const Statistics& absolute) {
  size_t live = 0;
  for (size_t i = 0; i < absolute.min.size(); ++i) {
    const double width = absolute.max[i] - absolute.min[i];
    if (is_dead_range(absolute.min[i], absolute.max[i])) {
      continue;
    }
    ++live;
    if (!(std::abs(relative.min[i] - absolute.min[i]) <= kSameRange * width &&
          std::abs(relative.max[i] - absolute.max[i]) <= kSameRange * width)) {
      return false;
    }
  }
  return live > 0;
}

void check_action(const std::string& where, const ProcessorConfig& config, size_t index,
                  io::ResolvedConfig& resolved) {
  const std::string& key = config.modalities.action.keys[index];
  const Statistics& absolute = config.statistics.action.at(key);
  const ScalingKind kind = action_scaling_kind(config, index);
  const std::string place = fmt::format("{}.action.{}", where, key);
  if (!config.decodes_relative(index)) {
    check_together(place, absolute, kind, resolved.warnings);
    if (kind == ScalingKind::kMinMax) {
      note_stretched(place, absolute, resolved.notices);
    }
    return;
  }
  const Statistics& relative = config.statistics.relative_action.at(key);
  const std::string relative_place = fmt::format("{}.relative_action.{}", where, key);
  check_together(relative_place, relative, kind, resolved.warnings);
  if (looks_absolute(relative, absolute)) {
    resolved.warnings.push_back(fmt::format(
        "{}: the first step has the range of the absolute action: the action is RELATIVE, so these "
        "should be differences to the state; were they computed from absolute actions?",
        relative_place));
  }
}

}  // namespace

void check_doubtful_statistics(const io::JsonView& embodiment, const ProcessorConfig& config,
                               io::ResolvedConfig& resolved) {
  const std::string& where = embodiment.where();
  for (const std::string& key : config.modalities.state.keys) {
    const Statistics& statistics = config.statistics.state.at(key);
    const ScalingKind kind = state_scaling_kind(config, key);
    const std::string place = fmt::format("{}.state.{}", where, key);
    check_together(place, statistics, kind, resolved.warnings);
    if (kind == ScalingKind::kMinMax) {
      note_stretched(place, statistics, resolved.notices);
    }
  }
  const io::Json& groups = embodiment.json();
  const auto relative = groups.find("relative_action");
  const ModalityConfig& action = config.modalities.action;
  for (size_t i = 0; i < action.keys.size(); ++i) {
    check_action(where, config, i, resolved);
    const std::string& key = action.keys[i];
    const bool is_absolute =
        i >= action.action_configs.size() ||  // check_modalities tells others
        action.action_configs[i].representation == ActionRepresentation::kAbsolute;
    if (is_absolute && relative != groups.end() && relative->is_object() &&
        relative->contains(key)) {
      resolved.notices.push_back(fmt::format(
          "action \"{}\" is decoded as ABSOLUTE, but {} has relative statistics of it: was it "
          "trained as RELATIVE?",
          key, where));
    }
  }
}

}  // namespace sinew::preprocess
