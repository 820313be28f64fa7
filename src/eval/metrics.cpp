#include "eval/metrics.h"

#include "base/check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace sinew::eval {

void ErrorSum::add(float truth, float prediction) {
  const double difference = static_cast<double>(truth) - static_cast<double>(prediction);
  squared_ += difference * difference;
  absolute_ += std::abs(difference);
  ++count_;
}

void ErrorSum::add(const ErrorSum& other) {
  squared_ += other.squared_;
  absolute_ += other.absolute_;
  count_ += other.count_;
}

ActionError ErrorSum::mean() const {
  if (count_ == 0) {
    return {};
  }
  const auto n = static_cast<double>(count_);
  return {squared_ / n, absolute_ / n};
}

double percentile(std::span<const double> sorted, double percent) {
  SINEW_CHECK(!sorted.empty() && percent >= 0 && percent <= 100);
  const double rank = percent / 100.0 * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(rank);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (rank - static_cast<double>(low));
}

LatencyStats latency_stats(std::span<const double> samples_ms) {
  LatencyStats stats;
  if (samples_ms.empty()) {
    return stats;
  }
  std::vector<double> sorted(samples_ms.begin(), samples_ms.end());
  std::sort(sorted.begin(), sorted.end());
  stats.count = static_cast<int64_t>(sorted.size());
  stats.total = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  stats.mean = stats.total / static_cast<double>(sorted.size());
  stats.min = sorted.front();
  stats.max = sorted.back();
  stats.p50 = percentile(sorted, 50);
  stats.p90 = percentile(sorted, 90);
  stats.p99 = percentile(sorted, 99);
  stats.jitter = std::max(stats.max - stats.p50, stats.p50 - stats.min);
  return stats;
}

}  // namespace sinew::eval
