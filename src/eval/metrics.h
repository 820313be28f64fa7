// The arithmetic of an evaluation: action errors and latency percentiles (spec/dataset.md
// section 6).
#pragma once

#include <cstdint>
#include <span>

namespace sinew::eval {

// Mean squared and mean absolute difference, in f64.
struct ActionError {
  double mse = 0;
  double mae = 0;
};

// Sums of differences, to be divided once at the end: errors of parts add up to that of the whole.
class ErrorSum {
 public:
  void add(float truth, float prediction);
  void add(const ErrorSum& other);

  // Zeros when nothing was added.
  ActionError mean() const;

 private:
  double squared_ = 0;
  double absolute_ = 0;
  int64_t count_ = 0;
};

// Milliseconds of repeated calls. All zero when count is 0.
struct LatencyStats {
  int64_t count = 0;
  double total = 0;
  double mean = 0;
  double min = 0;
  double max = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double jitter = 0;  // largest distance of a sample from the median
};

// numpy.percentile's default: linear interpolation between the two nearest ranks.
// Precondition: `sorted` ascending and not empty, 0 <= percent <= 100.
double percentile(std::span<const double> sorted, double percent);

LatencyStats latency_stats(std::span<const double> samples_ms);

}  // namespace sinew::eval
