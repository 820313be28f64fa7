// statistics.json (spec/preprocessing.md section 8.3): shapes, and finite where they will be read.
#include "base/error.h"
#include "preprocess/config/parse.h"
#include "preprocess/config/scaling.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace sinew::preprocess {
namespace {

constexpr std::string_view kSixArrays =
    "each key needs the six arrays min, max, mean, std, q01 and q99, of one length";
constexpr int64_t kEefDims = 9;  // xyz and two rows of a rotation matrix

struct NamedArray {
  const char* name;
  std::vector<double> Statistics::*values;
};

constexpr std::array kArrays = {
    NamedArray{"min", &Statistics::min},   NamedArray{"max", &Statistics::max},
    NamedArray{"mean", &Statistics::mean}, NamedArray{"std", &Statistics::std},
    NamedArray{"q01", &Statistics::q01},   NamedArray{"q99", &Statistics::q99},
};

// [dims]
Result<Statistics> parse_flat(const io::JsonView& object) {
  Statistics statistics;
  for (const NamedArray& array : kArrays) {
    SINEW_ASSIGN(const io::JsonView view, require(object, array.name, kSixArrays));
    SINEW_ASSIGN(std::vector<double> values, view.as_numbers());
    if (values.empty()) {
      return view.error_here("expected at least one value, found none");
    }
    if (array.values == &Statistics::min) {
      statistics.dims = static_cast<int64_t>(values.size());
    }
    if (static_cast<int64_t>(values.size()) != statistics.dims) {
      return view.error_here(fmt::format("expected {} values as in \"min\", found {}",
                                         statistics.dims, values.size()));
    }
    statistics.*array.values = std::move(values);
  }
  return statistics;
}

// [steps][dims], both known beforehand.
Result<Statistics> parse_stepwise(const io::JsonView& object, int64_t steps, int64_t dims) {
  Statistics statistics;
  statistics.steps = steps;
  statistics.dims = dims;
  for (const NamedArray& array : kArrays) {
    SINEW_ASSIGN(const io::JsonView view, require(object, array.name, kSixArrays));
    SINEW_ASSIGN(const size_t rows, view.array_size());
    if (static_cast<int64_t>(rows) != steps) {
      return view.error_here(fmt::format(
          "expected {} rows, one for each of the action's delta_indices, found {}", steps, rows));
    }
    std::vector<double>& values = statistics.*array.values;
    for (size_t row = 0; row < rows; ++row) {
      SINEW_ASSIGN(const io::JsonView row_view, view.at(row));
      SINEW_ASSIGN(const std::vector<double> row_values, row_view.as_numbers());
      if (static_cast<int64_t>(row_values.size()) != dims) {
        return row_view.error_here(
            fmt::format("expected {} values, as many as the action statistics have, found {}", dims,
                        row_values.size()));
      }
      values.insert(values.end(), row_values.begin(), row_values.end());
    }
  }
  return statistics;
}

Status check_finite(const io::JsonView& object, const Statistics& statistics,
                    std::initializer_list<const NamedArray*> used) {
  for (const NamedArray* const array : used) {
    const std::vector<double>& values = statistics.*array->values;
    const auto bad = std::ranges::find_if(values, [](double x) { return !std::isfinite(x); });
    if (bad != values.end()) {
      return object.error_here(
          fmt::format("\"{}\" is used and holds {} at index {}: expected finite numbers",
                      array->name, *bad, bad - values.begin()));
    }
  }
  return {};
}

// Dimensions that are constant in the data, in any step.
void note_dead_dims(const io::JsonView& object, const Statistics& statistics,
                    const std::vector<bool>& dead, std::vector<std::string>& notices) {
  std::vector<int64_t> dims;
  for (int64_t dim = 0; dim < statistics.dims; ++dim) {
    for (int64_t step = 0; step < statistics.steps; ++step) {
      if (dead[static_cast<size_t>(step * statistics.dims + dim)]) {
        dims.push_back(dim);
        break;
      }
    }
  }
  if (!dims.empty()) {
    notices.push_back(fmt::format("{}: no spread in dimension {}{}: constant in the data",
                                  object.where(), fmt::join(dims, ", "),
                                  statistics.steps > 1 ? " of some step" : ""));
  }
}

Status check_mean_std(const io::JsonView& object, const Statistics& statistics,
                      std::vector<std::string>& notices) {
  SINEW_TRY(check_finite(object, statistics, {&kArrays[2], &kArrays[3]}));
  std::vector<bool> dead;
  for (size_t i = 0; i < statistics.std.size(); ++i) {
    if (statistics.std[i] < 0) {
      return object.error_here(
          fmt::format("\"std\" is {} at index {}: expected none below 0", statistics.std[i], i));
    }
    dead.push_back(statistics.std[i] == 0);
  }
  note_dead_dims(object, statistics, dead, notices);
  return {};
}

Status check_range(const io::JsonView& object, const Statistics& statistics, bool quantiles,
                   std::vector<std::string>& notices) {
  const NamedArray& low = kArrays[quantiles ? 4 : 0];
  const NamedArray& high = kArrays[quantiles ? 5 : 1];
  SINEW_TRY(check_finite(object, statistics, {&low, &high}));
  std::vector<bool> dead;
  for (size_t i = 0; i < (statistics.*low.values).size(); ++i) {
    const double a = (statistics.*low.values)[i];
    const double b = (statistics.*high.values)[i];
    dead.push_back(is_dead_range(a, b));
    if ((b < a && !dead.back()) || !std::isfinite(b - a)) {
      return object.error_here(
          fmt::format("\"{}\" is {} and \"{}\" is {} at index {}: expected a "
                      "finite range from low to high",
                      low.name, a, high.name, b, i));
    }
  }
  note_dead_dims(object, statistics, dead, notices);
  return {};
}

Status check_used(const io::JsonView& object, const Statistics& statistics, ScalingKind kind,
                  std::vector<std::string>& notices) {
  switch (kind) {
    case ScalingKind::kSinCos:
      return {};
    case ScalingKind::kMeanStd:
      return check_mean_std(object, statistics, notices);
    case ScalingKind::kMinMax:
    case ScalingKind::kQuantiles:
      return check_range(object, statistics, kind == ScalingKind::kQuantiles, notices);
  }
  return {};
}

Result<io::JsonView> find_key(const io::JsonView& group, const std::string& key) {
  SINEW_TRY(group.expect_object());
  return require(group, key,
                 fmt::format("the modality configuration names it; there are statistics for {}",
                             join(group.keys())));
}

Status parse_state(const io::JsonView& group, const ProcessorConfig& config,
                   EmbodimentStatistics& statistics, std::vector<std::string>& notices) {
  for (const std::string& key : config.modalities.state.keys) {
    SINEW_ASSIGN(const io::JsonView view, find_key(group, key));
    SINEW_ASSIGN(Statistics parsed, parse_flat(view));
    SINEW_TRY(check_used(view, parsed, state_scaling_kind(config, key), notices));
    statistics.state.emplace(key, std::move(parsed));
  }
  return {};
}

// A relative action: a range for each step, and a reference state of the same width.
Status parse_relative(const io::JsonView& embodiment, const ProcessorConfig& config, size_t index,
                      EmbodimentStatistics& statistics, std::vector<std::string>& notices) {
  const std::string& key = config.modalities.action.keys[index];
  const int64_t dims = statistics.action.at(key).dims;
  SINEW_ASSIGN(
      const io::JsonView group,
      require(embodiment, "relative_action",
              fmt::format("the action \"{}\" is RELATIVE and use_relative_action is true", key)));
  SINEW_ASSIGN(const io::JsonView view, find_key(group, key));
  SINEW_ASSIGN(Statistics parsed, parse_stepwise(view, config.action_steps(), dims));
  SINEW_TRY(check_used(view, parsed, action_scaling_kind(config, index), notices));
  const std::string& reference = config.reference_state(index);
  if (const int64_t width = statistics.state.at(reference).dims; width != dims) {
    return view.error_here(
        fmt::format("{} dimensions, but the state \"{}\" that it is relative to has {}", dims,
                    reference, width));
  }
  if (config.modalities.action.action_configs[index].type == ActionType::kEef && dims != kEefDims) {
    return view.error_here(
        fmt::format("expected {} dimensions (xyz and 6 of the rotation) of an EEF action, found {}",
                    kEefDims, dims));
  }
  statistics.relative_action.emplace(key, std::move(parsed));
  return {};
}

Status parse_action(const io::JsonView& embodiment, const ProcessorConfig& config,
                    EmbodimentStatistics& statistics, std::vector<std::string>& notices) {
  SINEW_ASSIGN(const io::JsonView group,
               require(embodiment, "action", "an embodiment needs state and action statistics"));
  const std::vector<std::string>& keys = config.modalities.action.keys;
  for (size_t i = 0; i < keys.size(); ++i) {
    SINEW_ASSIGN(const io::JsonView view, find_key(group, keys[i]));
    SINEW_ASSIGN(Statistics parsed, parse_flat(view));
    if (!config.decodes_relative(i)) {  // otherwise only its width is used
      SINEW_TRY(check_used(view, parsed, action_scaling_kind(config, i), notices));
    }
    statistics.action.emplace(keys[i], std::move(parsed));
    if (config.decodes_relative(i)) {
      SINEW_TRY(parse_relative(embodiment, config, i, statistics, notices));
    }
  }
  return {};
}

}  // namespace

Result<EmbodimentStatistics> parse_statistics(const io::JsonView& embodiment,
                                              const ProcessorConfig& config,
                                              std::vector<std::string>& notices) {
  EmbodimentStatistics statistics;
  SINEW_ASSIGN(const io::JsonView state,
               require(embodiment, "state", "an embodiment needs state and action statistics"));
  SINEW_TRY(parse_state(state, config, statistics, notices));
  SINEW_TRY(parse_action(embodiment, config, statistics, notices));
  return statistics;
}

}  // namespace sinew::preprocess
