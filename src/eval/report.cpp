#include "eval/report.h"

#include <algorithm>
#include <string>
#include <utility>

namespace sinew::eval {
namespace {

io::Json per_key_json(const std::vector<KeyError>& errors) {
  io::Json object = io::Json::object();
  for (const KeyError& key : errors) {
    object[key.key] = {{"mse", key.error.mse}, {"mae", key.error.mae}};
  }
  return object;
}

io::Json trajectory_json(const TrajectoryResult& trajectory, bool with_statistics) {
  io::Json entry{{"id", trajectory.id},
                 {"episode_index", trajectory.episode_index},
                 {"steps", trajectory.steps},
                 {"calls", trajectory.calls}};
  if (with_statistics) {
    entry["mse"] = trajectory.error.mse;
    entry["mae"] = trajectory.error.mae;
    entry["per_key"] = per_key_json(trajectory.per_key);
    entry["load_ms"] = trajectory.load_ms;
    entry["total_ms"] = trajectory.total_ms;
    entry["latency_ms"] = latency_json(latency_stats(trajectory.inference_ms));
    entry["memory_bytes"] = {{"total", trajectory.memory.total()},
                             {"video", trajectory.memory.video_bytes},
                             {"columns", trajectory.memory.column_bytes},
                             {"other", trajectory.memory.other_bytes}};
  }
  return entry;
}

}  // namespace

io::Json latency_json(const LatencyStats& stats) {
  io::Json object{{"count", stats.count}, {"total", stats.total}, {"mean", stats.mean},
                  {"min", stats.min},     {"max", stats.max},     {"p50", stats.p50},
                  {"p90", stats.p90},     {"p99", stats.p99},     {"jitter", stats.jitter}};
  if (stats.count == 0) {
    for (auto& [name, value] : object.items()) {
      if (name != "count") {
        value = nullptr;
      }
    }
  }
  return object;
}

io::Json rows_json(std::span<const float> values, int64_t width) {
  io::Json rows = io::Json::array();
  for (size_t at = 0; width > 0 && at < values.size(); at += static_cast<size_t>(width)) {
    rows.push_back(values.subspan(at, static_cast<size_t>(width)));
  }
  return rows;
}

io::Json timings_json(const Timings& timings) {
  io::Json document{{"preprocess", timings.preprocess_ms}, {"tokenize", timings.tokenize_ms},
                    {"network", timings.network_ms},       {"vision", timings.vision_ms},
                    {"language", timings.language_ms},     {"action", timings.action_ms},
                    {"action_steps", timings.step_ms},     {"decode", timings.decode_ms},
                    {"end_to_end", timings.end_to_end_ms}};
  // A GPU's stages are timed where it was asked for; no time is not a time of zero.
  const auto is_zero = [](double ms) { return ms == 0; };
  if (timings.vision_ms == 0 && timings.language_ms == 0 && timings.action_ms == 0 &&
      std::all_of(timings.step_ms.begin(), timings.step_ms.end(), is_zero)) {
    for (const char* const stage : {"vision", "language", "action", "action_steps"}) {
      document[stage] = nullptr;
    }
  }
  return document;
}

io::Json report_json(const OpenLoopReport& report, bool with_statistics) {
  io::Json document{{"action_horizon", report.action_horizon},
                    {"skipped_trajectories", report.skipped},
                    {"trajectories", io::Json::array()}};
  for (const TrajectoryResult& trajectory : report.trajectories) {
    document["trajectories"].push_back(trajectory_json(trajectory, with_statistics));
  }
  if (with_statistics) {
    document["mse"] = report.average.mse;
    document["mae"] = report.average.mae;
    document["per_key"] = per_key_json(report.per_key);
    document["latency_ms"] = latency_json(report.latency);
    document["data_ms"] = latency_json(report.data);
    // Nothing timed is no time of zero.
    document["components_ms"] =
        report.latency.count == 0 ? io::Json() : timings_json(report.mean_timings);
  }
  return document;
}

}  // namespace sinew::eval
