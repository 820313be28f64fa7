// How one state or action key is put into the network's units and back: which rule applies, and the
// statistics that rule reads (spec/preprocessing.md sections 5 and 6.2). The one place that decides
// this; the checks at load, the state encoder and the action decoder all ask here.
#pragma once

#include "preprocess/config/processor_config.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

enum class ScalingKind {
  kSinCos,    // sines and cosines instead of the values; reads no statistics
  kMeanStd,   // (x - mean) / std
  kMinMax,    // [min, max] to [-1, 1]
  kQuantiles  // [q01, q99] to [-1, 1]
};

ScalingKind state_scaling_kind(const ProcessorConfig& config, std::string_view key);

// A relative key reads its relative statistics, whose range is min/max even with use_percentiles.
ScalingKind action_scaling_kind(const ProcessorConfig& config, size_t key_index);

// Whether |high - low| is too small to divide by; such a dimension is normalised to 0.
bool is_dead_range(double low, double high);

// The tables of one key, ready for use: [steps * dims], step-major; steps is 1 unless each step of
// the chunk has a range of its own.
struct Scaling {
  ScalingKind kind = ScalingKind::kMinMax;
  int64_t steps = 1;
  int64_t dims = 0;
  std::vector<double> base;    // mean, or the low end
  std::vector<double> spread;  // std, or high - low
  std::vector<uint8_t> live;   // 0: constant in the data (std of 0, dead range)

  // Index of (step, dim) in the tables.
  size_t index(int64_t step, int64_t dim) const {
    return static_cast<size_t>((steps == 1 ? 0 : step * dims) + dim);
  }
};

// Precondition: the statistics hold the key, as those of a resolved configuration do.
Scaling state_scaling(const ProcessorConfig& config, std::string_view key);
Scaling action_scaling(const ProcessorConfig& config, size_t key_index);

// Physical to normalised. T fixes where the original rounds: float for states and absolute actions,
// double for relative actions. Not for kSinCos.
template <class T>
T normalize(const Scaling& scaling, size_t index, T x) {
  if (scaling.kind == ScalingKind::kMeanStd) {
    return scaling.live[index] == 0
               ? x
               : static_cast<T>((double{x} - scaling.base[index]) / scaling.spread[index]);
  }
  if (scaling.live[index] == 0) {
    return T{0};
  }
  const T unit = static_cast<T>((double{x} - scaling.base[index]) / scaling.spread[index]);
  return T{2} * unit - T{1};
}

// Normalised to physical. Ranges clamp to [-1, 1] first and treat a dead dimension like any other;
// mean/std does neither and rounds to f32 (6.2).
inline double unnormalize(const Scaling& scaling, size_t index, float x) {
  if (scaling.kind == ScalingKind::kMeanStd) {
    return scaling.live[index] == 0
               ? x
               : static_cast<float>(x * scaling.spread[index] + scaling.base[index]);
  }
  const float unit = (std::clamp(x, -1.0F, 1.0F) + 1.0F) / 2.0F;
  return unit * scaling.spread[index] + scaling.base[index];
}

}  // namespace sinew::preprocess
