#include "policy/observation_watch.h"

#include "base/log.h"
#include "base/units.h"
#include "preprocess/config/scaling.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

namespace sinew::policy {
namespace {

using preprocess::ScalingKind;
using preprocess::Statistics;

// A value is far outside when it is so many widths away from a range, or standard deviations from a
// mean. Normalised it is beyond +-7, where training saw +-1.
constexpr double kWidths = 3;
constexpr double kDeviations = 10;

// A joint that hardly moved in training has hardly a width; this share of its largest value stands
// for it.
constexpr double kLeastWidth = 0.05;

constexpr double kMillimetresPerMetre = 1000;

// With margins of a tenth of the width: whether the value is inside after division.
bool is_inside(double value, double low, double high) {
  const double margin = 0.1 * (high - low);
  return value >= low - margin && value <= high + margin;
}

}  // namespace

struct ObservationWatch::Finding {
  size_t far = 0;     // dimensions
  size_t worst = 0;   // dimension
  double value = 0;   // its value
  double widths = 0;  // how far out it is, in reaches
  bool fits_degrees = true;
  bool fits_millimetres = true;
};

ObservationWatch::State ObservationWatch::make_state(const preprocess::ProcessorConfig& config,
                                                     const std::string& key) {
  const Statistics& statistics = config.statistics.state.at(key);
  const ScalingKind kind = state_scaling_kind(config, key);
  State state{key, {}, 1};
  size_t live = 0;
  for (size_t i = 0; i < static_cast<size_t>(statistics.dims); ++i) {
    Range range;
    if (kind == ScalingKind::kMeanStd) {
      range.low = statistics.mean[i] - statistics.std[i];
      range.high = statistics.mean[i] + statistics.std[i];
      range.reach = (kDeviations - 1) * statistics.std[i];
    } else {
      const bool quantiles = kind == ScalingKind::kQuantiles;
      range.low = quantiles ? statistics.q01[i] : statistics.min[i];
      range.high = quantiles ? statistics.q99[i] : statistics.max[i];
      range.reach =
          kWidths * std::max(range.high - range.low,
                             kLeastWidth * std::max(std::abs(range.low), std::abs(range.high)));
    }
    // A dead dimension is fed as 0 whatever it is, and statistics that are not used may be NaN.
    const bool is_live = std::isfinite(range.reach) && std::isfinite(range.low) &&
                         !preprocess::is_dead_range(range.low, range.high);
    live += is_live ? 1 : 0;
    state.dims.push_back(is_live ? range : Range{});
  }
  // One joint of several may have left its range for a reason; half of them, and two, did not.
  state.needed = live < 2 ? 1 : std::max<size_t>(2, live / 2);
  return state;
}

ObservationWatch::ObservationWatch(const preprocess::ProcessorConfig& config)
    : cameras_(config.modalities.video.keys) {
  for (const std::string& key : config.modalities.state.keys) {
    states_.push_back(make_state(config, key));
  }
  // NOLINTNEXTLINE(modernize-avoid-c-arrays): atomics cannot be moved, so no vector holds them
  said_ = std::make_unique<std::atomic<bool>[]>(states_.size() + cameras_.size());
}

ObservationWatch::Finding ObservationWatch::examine(const State& state,
                                                    std::span<const float> row) {
  Finding finding;
  for (size_t i = 0; i < row.size(); ++i) {
    const Range& range = state.dims[i];
    const double value = row[i];
    const double out = std::max(range.low - value, value - range.high);
    if (range.reach <= 0 || out <= range.reach) {
      continue;
    }
    ++finding.far;
    if (out / range.reach > finding.widths) {
      finding.widths = out / range.reach;
      finding.worst = i;
      finding.value = value;
    }
    finding.fits_degrees =
        finding.fits_degrees && is_inside(value / kDegreesPerRadian, range.low, range.high);
    finding.fits_millimetres =
        finding.fits_millimetres && is_inside(value / kMillimetresPerMetre, range.low, range.high);
  }
  return finding;
}

std::string ObservationWatch::warning(const State& state, const Finding& finding) {
  const Range& range = state.dims[finding.worst];
  const char* guess = "is this the robot, and are these the units, that it was trained with?";
  if (finding.fits_degrees) {
    guess = "divided by 57.3 they lie inside: degrees for radians?";
  } else if (finding.fits_millimetres) {
    guess = "divided by 1000 they lie inside: millimetres for metres?";
  }
  return fmt::format(
      "state \"{}\": {} of {} dimensions are far outside of the checkpoint's statistics (dimension "
      "{} is {:.4g}, in training {:.4g} to {:.4g}): {} (said once for this state)",
      state.key, finding.far, state.dims.size(), finding.worst, finding.value, range.low,
      range.high, guess);
}

void ObservationWatch::see_state(size_t index, std::span<const float> values) const {
  const State& state = states_[index];
  if (said_[index].load(std::memory_order_relaxed)) {
    return;
  }
  for (size_t start = 0; start + state.dims.size() <= values.size(); start += state.dims.size()) {
    const Finding finding = examine(state, values.subspan(start, state.dims.size()));
    if (finding.far < state.needed) {
      continue;
    }
    if (!said_[index].exchange(true, std::memory_order_relaxed)) {
      log_warning("{}", warning(state, finding));
    }
    return;
  }
}

void ObservationWatch::see_frame(size_t index, const Frame& frame) const {
  std::atomic<bool>& said = said_[states_.size() + index];
  if (said.load(std::memory_order_relaxed)) {
    return;
  }
  // Any frame of a camera ends the search within its first pixels.
  const size_t bytes = static_cast<size_t>(3 * frame.height * frame.width);
  const bool is_black =
      std::all_of(frame.pixels, frame.pixels + bytes, [](uint8_t value) { return value <= 1; });
  if (is_black && !said.exchange(true, std::memory_order_relaxed)) {
    log_warning(
        "camera \"{}\": no pixel of a frame is above 1 of 255: is the lens covered, or were "
        "frames of 0 to 1 converted to bytes without multiplying by 255? (said once for this "
        "camera)",
        cameras_[index]);
  }
}

}  // namespace sinew::policy
