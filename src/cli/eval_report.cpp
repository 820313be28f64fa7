#include "cli/eval_report.h"

#include "cli/terminal.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace sinew::cli {
namespace {

std::string ms_text(double ms) {
  return ms >= 10000 ? fmt::format("{:.2f} s", ms / 1000) : fmt::format("{:.2f} ms", ms);
}

std::string metrics_table(const eval::OpenLoopReport& report, bool colour) {
  Table table({"trajectory", "rows", "MSE", "MAE"}, {false, true, true, true});
  const auto row = [&](std::string name, std::string rows, const eval::ActionError& error) {
    table.add({std::move(name), std::move(rows), fmt::format("{:.6f}", error.mse),
               fmt::format("{:.6f}", error.mae)});
  };
  for (const eval::TrajectoryResult& trajectory : report.trajectories) {
    row(std::to_string(trajectory.id), std::to_string(trajectory.steps), trajectory.error);
    if (trajectory.per_key.size() > 1) {
      for (const eval::KeyError& key : trajectory.per_key) {
        row("  " + key.key, "", key.error);
      }
    }
  }
  row("average", "", report.average);
  if (report.trajectories.size() > 1 && report.per_key.size() > 1) {
    for (const eval::KeyError& key : report.per_key) {
      row("  " + key.key, "", key.error);
    }
  }
  return table.text(colour);
}

std::string trajectory_table(const eval::OpenLoopReport& report, bool colour) {
  Table table({"trajectory", "load", "total", "calls", "mean call"},
              {false, true, true, true, true});
  for (const eval::TrajectoryResult& trajectory : report.trajectories) {
    const eval::LatencyStats stats = eval::latency_stats(trajectory.inference_ms);
    table.add({std::to_string(trajectory.id), ms_text(trajectory.load_ms),
               ms_text(trajectory.total_ms), std::to_string(trajectory.calls),
               stats.count == 0 ? "not timed" : ms_text(stats.mean)});
  }
  return table.text(colour);
}

std::string latency_table(const eval::OpenLoopReport& report, int64_t skip_timing_steps,
                          bool colour) {
  if (report.latency.count == 0) {
    return fmt::format(
        "no call was timed: the first {} of each trajectory are skipped (--skip-timing-steps)\n",
        skip_timing_steps);
  }
  Table table({"ms a call", "calls", "total", "mean", "min", "max", "P50", "P90", "P99", "jitter"},
              {false, true, true, true, true, true, true, true, true, true});
  const auto row = [&](std::string name, const eval::LatencyStats& stats) {
    std::vector<std::string> cells{std::move(name), std::to_string(stats.count)};
    for (const double value : {stats.total, stats.mean, stats.min, stats.max, stats.p50, stats.p90,
                               stats.p99, stats.jitter}) {
      cells.push_back(fmt::format("{:.2f}", value));
    }
    table.add(std::move(cells));
  };
  row("inference", report.latency);
  row("reading data", report.data);
  const double rows_a_second =
      1000.0 * static_cast<double>(report.action_horizon) / report.latency.mean;
  return table.text(colour) +
         fmt::format(
             "\nreaction {:.2f} ms a chunk; throughput {:.1f} actions/s ({} rows used a call); the "
             "first {} of each trajectory not timed\n",
             report.latency.mean, rows_a_second, report.action_horizon, skip_timing_steps);
}

std::string memory_table(const eval::OpenLoopReport& report, const EvalCosts& costs, bool colour) {
  Table table({"episode memory", "total", "video", "columns", "other"},
              {false, true, true, true, true});
  size_t sums[4] = {};
  for (const eval::TrajectoryResult& trajectory : report.trajectories) {
    const eval::EpisodeMemory& memory = trajectory.memory;
    const size_t parts[4] = {memory.total(), memory.video_bytes, memory.column_bytes,
                             memory.other_bytes};
    std::vector<std::string> cells{fmt::format("trajectory {}", trajectory.id)};
    for (size_t i = 0; i < 4; ++i) {
      cells.push_back(bytes_text(parts[i]));
      sums[i] += parts[i];
    }
    table.add(std::move(cells));
  }
  std::vector<std::string> average{"average"};
  for (const size_t sum : sums) {
    average.push_back(bytes_text(sum / report.trajectories.size()));
  }
  table.add(std::move(average));
  const Policy::Memory& policy = costs.policy_memory;
  return table.text(colour) + "\n" +
         listing({{"weights", bytes_text(policy.weight_bytes)},
                  {"activations", bytes_text(policy.arena_bytes)},
                  {"workspace", bytes_text(policy.workspace_bytes)},
                  {"staging", bytes_text(policy.staging_bytes)},
                  {"process, at most", bytes_text(costs.peak_resident_bytes)}});
}

}  // namespace

std::string eval_summary(const eval::OpenLoopReport& report, const EvalCosts& costs,
                         int64_t skip_timing_steps, bool colour) {
  std::string out = metrics_table(report, colour);
  out += "\n" + listing({{"model loaded in", ms_text(costs.model_load_ms)},
                         {"data set opened in", ms_text(costs.dataset_load_ms)}});
  out += "\n" + trajectory_table(report, colour);
  out += "\n" + latency_table(report, skip_timing_steps, colour);
  out += "\n" + memory_table(report, costs, colour);
  return out;
}

}  // namespace sinew::cli
