#include "preprocess/config/scaling.h"

#include "base/check.h"

#include <cmath>

namespace sinew::preprocess {
namespace {

bool contains(const std::vector<std::string>& keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

const Statistics& at(const std::map<std::string, Statistics>& statistics, std::string_view key) {
  const auto found = statistics.find(std::string(key));
  SINEW_CHECK(found != statistics.end());  // resolve_processor_config requires every key
  return found->second;
}

Scaling make_scaling(ScalingKind kind, const Statistics& statistics) {
  Scaling scaling{kind, statistics.steps, statistics.dims, {}, {}, {}};
  if (kind == ScalingKind::kSinCos) {
    return scaling;
  }
  if (kind == ScalingKind::kMeanStd) {
    scaling.base = statistics.mean;
    scaling.spread = statistics.std;
    for (const double std : statistics.std) {
      scaling.live.push_back(std == 0 ? 0 : 1);
    }
    return scaling;
  }
  const bool quantiles = kind == ScalingKind::kQuantiles;
  scaling.base = quantiles ? statistics.q01 : statistics.min;
  const std::vector<double>& high = quantiles ? statistics.q99 : statistics.max;
  for (size_t i = 0; i < high.size(); ++i) {
    scaling.spread.push_back(high[i] - scaling.base[i]);
    scaling.live.push_back(is_dead_range(scaling.base[i], high[i]) ? 0 : 1);
  }
  return scaling;
}

}  // namespace

bool is_dead_range(double low, double high) {
  return std::abs(high - low) <= 1e-8 + 1e-5 * std::abs(low);
}

ScalingKind state_scaling_kind(const ProcessorConfig& config, std::string_view key) {
  const ModalityConfig& state = config.modalities.state;
  if (config.apply_sincos_state_encoding && contains(state.sin_cos_keys, key)) {
    return ScalingKind::kSinCos;
  }
  if (contains(state.mean_std_keys, key)) {
    return ScalingKind::kMeanStd;
  }
  return config.use_percentiles ? ScalingKind::kQuantiles : ScalingKind::kMinMax;
}

ScalingKind action_scaling_kind(const ProcessorConfig& config, size_t key_index) {
  const ModalityConfig& action = config.modalities.action;
  if (contains(action.mean_std_keys, action.keys[key_index])) {
    return ScalingKind::kMeanStd;
  }
  return config.use_percentiles && !config.decodes_relative(key_index) ? ScalingKind::kQuantiles
                                                                       : ScalingKind::kMinMax;
}

Scaling state_scaling(const ProcessorConfig& config, std::string_view key) {
  return make_scaling(state_scaling_kind(config, key), at(config.statistics.state, key));
}

Scaling action_scaling(const ProcessorConfig& config, size_t key_index) {
  const std::string& key = config.modalities.action.keys[key_index];
  const auto& statistics = config.decodes_relative(key_index) ? config.statistics.relative_action
                                                              : config.statistics.action;
  return make_scaling(action_scaling_kind(config, key_index), at(statistics, key));
}

}  // namespace sinew::preprocess
