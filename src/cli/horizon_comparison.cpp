#include "cli/horizon_comparison.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/policy_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sinew::cli {
namespace {

// Nothing below an error is logged as long as it lives.
class Silence {
 public:
  Silence() : level_(log_level()) { set_log_level(std::max(level_, LogLevel::kError)); }

  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  ~Silence() { set_log_level(level_); }

 private:
  LogLevel level_;
};

Status run(const PolicyOptions& options, eval::NoiseSequence noise, const Evaluate& evaluate,
           OtherHorizon& other) {
  SINEW_ASSIGN(Policy policy, Policy::load(options));
  PolicySource source(policy);
  SINEW_ASSIGN(const eval::OpenLoopReport report, evaluate(source, noise));
  other.error = report.average;
  other.latency = report.latency;
  return {};
}

}  // namespace

std::vector<OtherHorizon> other_horizons(const PolicyInfo& info) {
  std::vector<OtherHorizon> others;
  if (info.checkpoint_horizon == info.action_steps) {
    return others;
  }
  if (info.checkpoint_horizon != info.horizon) {
    others.push_back({.tokens = info.checkpoint_horizon, .source = "config.json action_horizon"});
  }
  if (info.action_steps != info.horizon) {
    others.push_back({.tokens = info.action_steps, .source = "action delta_indices"});
  }
  return others;
}

void evaluate_horizon(const ModelOptions& model, const eval::NoiseSequence& noise,
                      const Evaluate& evaluate, OtherHorizon& other) {
  const Silence silence;
  PolicyOptions options = model.policy;
  options.horizon = std::to_string(other.tokens);
  options.dump_sites.clear();
  const auto start = Clock::now();
  const Status status =
      run(options, noise.with_horizon(other.tokens, options.seed), evaluate, other);
  other.failure = status.message();
  other.total_ms = milliseconds_since(start);
}

io::Json horizons_json(std::span<const OtherHorizon> others) {
  io::Json list = io::Json::array();
  for (const OtherHorizon& other : others) {
    io::Json entry{{"action_tokens", other.tokens}, {"source", other.source}};
    if (other.failure.empty()) {
      entry["mse"] = other.error.mse;
      entry["mae"] = other.error.mae;
      entry["mean_latency_ms"] =
          other.latency.count == 0 ? io::Json() : io::Json(other.latency.mean);
    } else {
      entry["failure"] = other.failure;
    }
    entry["total_ms"] = other.total_ms;
    list.push_back(std::move(entry));
  }
  return list;
}

std::string horizons_text(std::span<const OtherHorizon> others, const PolicyInfo& info,
                          const eval::OpenLoopReport& report) {
  std::string text;
  for (const OtherHorizon& other : others) {
    text += fmt::format("{} action tokens ({}) in place of {}: ", other.tokens, other.source,
                        info.horizon);
    if (!other.failure.empty()) {
      text += fmt::format("not evaluated: {}\n", other.failure);
      continue;
    }
    text += fmt::format("MSE {:.6f}, MAE {:.6f}", other.error.mse, other.error.mae);
    if (other.latency.count > 0 && report.latency.count > 0) {
      text += fmt::format(", {:.2f} ms a chunk in place of {:.2f}", other.latency.mean,
                          report.latency.mean);
    }
    text += fmt::format("; took {:.1f} s (--no-compare-horizons leaves it out)\n",
                        other.total_ms / 1000);
  }
  return text;
}

}  // namespace sinew::cli
