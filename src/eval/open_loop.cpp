#include "eval/open_loop.h"

#include "base/error.h"
#include "base/log.h"
#include "eval/observation_view.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

namespace sinew::eval {
namespace {

constexpr int64_t kDefaultActionHorizon = 16;

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// "key[i] (joint)"; the index is dropped for one-dimensional groups, the joint where unknown.
std::vector<std::string> dimension_titles(const std::string& key, int64_t dims,
                                          const std::vector<std::string>& joints) {
  std::vector<std::string> titles;
  for (int64_t i = 0; i < dims; ++i) {
    std::string title = dims == 1 ? key : fmt::format("{}[{}]", key, i);
    if (std::ssize(joints) == dims) {
      title += fmt::format(" ({})", joints[static_cast<size_t>(i)]);
    }
    titles.push_back(std::move(title));
  }
  return titles;
}

std::vector<std::string> group_keys(const std::vector<GroupShape>& groups) {
  std::vector<std::string> keys;
  keys.reserve(groups.size());
  for (const GroupShape& group : groups) {
    keys.push_back(group.key);
  }
  return keys;
}

void add_timings(Timings& sum, const Timings& call) {
  sum.preprocess_ms += call.preprocess_ms;
  sum.tokenize_ms += call.tokenize_ms;
  sum.network_ms += call.network_ms;
  sum.vision_ms += call.vision_ms;
  sum.language_ms += call.language_ms;
  sum.action_ms += call.action_ms;
  sum.decode_ms += call.decode_ms;
  sum.end_to_end_ms += call.end_to_end_ms;
  sum.step_ms.resize(std::max(sum.step_ms.size(), call.step_ms.size()));
  for (size_t i = 0; i < call.step_ms.size(); ++i) {
    sum.step_ms[i] += call.step_ms[i];
  }
}

Timings mean_of(const std::vector<TrajectoryResult>& trajectories) {
  Timings mean;
  double count = 0;
  for (const TrajectoryResult& trajectory : trajectories) {
    for (const Timings& call : trajectory.timings) {
      add_timings(mean, call);
      count += 1;
    }
  }
  if (count > 0) {
    for (double* value :
         {&mean.preprocess_ms, &mean.tokenize_ms, &mean.network_ms, &mean.vision_ms,
          &mean.language_ms, &mean.action_ms, &mean.decode_ms, &mean.end_to_end_ms}) {
      *value /= count;
    }
    for (double& step : mean.step_ms) {
      step /= count;
    }
  }
  return mean;
}

// One evaluation in progress: what is the same for every trajectory.
class OpenLoopRun {
 public:
  OpenLoopRun(ChunkSource& source, const dataset::Dataset& dataset, const OpenLoopOptions& options,
              NoiseSequence& noise)
      : source_(source), dataset_(dataset), options_(options), noise_(noise) {}

  Result<OpenLoopReport> run();

 private:
  Status settle_horizon();
  Status settle_keys();
  Result<TrajectoryResult> run_trajectory(int64_t position, int64_t id);
  Status read_recorded(dataset::Episode& episode, TrajectoryResult& result) const;
  Status read_state(dataset::Episode& episode, TrajectoryResult& result) const;
  Status run_call(dataset::Episode& episode, int64_t row, TrajectoryResult& result);
  Status take_rows(int64_t row, TrajectoryResult& result) const;
  void measure(TrajectoryResult& result) const;
  void summarise();

  ChunkSource& source_;
  const dataset::Dataset& dataset_;
  const OpenLoopOptions& options_;
  NoiseSequence& noise_;
  preprocess::Modalities shown_;  // without actions: only what the policy sees is read a step
  OpenLoopReport report_;
  int64_t dims_ = 0;  // of all compared keys
  ObservationView view_;
  ActionChunk chunk_;
};

Status OpenLoopRun::settle_horizon() {
  const PolicyInfo& info = source_.info();
  report_.action_horizon =
      options_.action_horizon.value_or(std::min(kDefaultActionHorizon, info.action_steps));
  if (report_.action_horizon > info.action_steps || report_.action_horizon < 1) {
    return usage_error(
        "--action-horizon {}: the policy predicts {} rows a call, so 1 to {} of them can be used",
        report_.action_horizon, info.action_steps, info.action_steps);
  }
  if (report_.action_horizon != info.action_steps) {
    log_info(
        "action horizon {} is how many of the {} predicted rows are used a call; the network still "
        "computes {} action tokens",
        report_.action_horizon, info.action_steps, info.horizon);
  }
  return {};
}

Status OpenLoopRun::settle_keys() {
  const PolicyInfo& info = source_.info();
  const std::vector<std::string> known = group_keys(info.action);
  const dataset::DatasetInfo& data = dataset_.info();
  for (const std::string& key : options_.action_keys.empty() ? known : options_.action_keys) {
    const auto is_key = [&key](const auto& group) { return group.key == key; };
    if (std::any_of(report_.keys.begin(), report_.keys.end(), is_key)) {
      return usage_error("--modality-keys: action key \"{}\" is named twice", key);
    }
    const auto group = std::find_if(info.action.begin(), info.action.end(), is_key);
    if (group == info.action.end()) {
      return usage_error("--modality-keys: the policy has no action key \"{}\"; it has: {}", key,
                         fmt::join(known, ", "));
    }
    const auto column = data.action.find(key);
    if (column == data.action.end()) {
      std::vector<std::string> names;
      for (const auto& [name, unused] : data.action) {
        names.push_back(name);
      }
      return bad_input("{}: no action group \"{}\" in meta/modality.json; it has: {}",
                       dataset_.path().string(), key, fmt::join(names, ", "));
    }
    report_.keys.push_back(
        {key, group->dims, dimension_titles(key, group->dims, column->second.dim_names)});
    dims_ += group->dims;
  }
  return {};
}

Result<OpenLoopReport> OpenLoopRun::run() {
  const PolicyInfo& info = source_.info();
  SINEW_TRY(settle_horizon());
  SINEW_TRY(settle_keys());
  SINEW_TRY(noise_.check(info.horizon, info.max_action_dim));
  shown_ = modalities_of(info);
  SINEW_TRY(dataset_.check_modalities(shown_));
  shown_.action.keys.clear();  // the deltas stay: sub-task texts depend on their span

  const int64_t episodes = dataset_.info().episodes;
  std::vector<int64_t> ids;
  for (const int64_t id : options_.trajectories) {
    if (id >= 0 && id < episodes) {
      ids.push_back(id);
    } else {
      report_.skipped.push_back(id);
      log_warning("trajectory {} is skipped: the data set has {} (0 to {})", id, episodes,
                  episodes - 1);
    }
  }
  if (ids.empty()) {
    return bad_input("{}: none of the trajectories {} exists; the data set has {}",
                     dataset_.path().string(), fmt::join(options_.trajectories, ", "), episodes);
  }
  for (const int64_t id : ids) {
    const auto position = std::ssize(report_.trajectories);
    Result<TrajectoryResult> result = run_trajectory(position, id);
    if (!result.ok()) {
      return std::move(result).status().with(fmt::format("trajectory {}", id));
    }
    report_.trajectories.push_back(std::move(result).value());
  }
  summarise();
  return std::move(report_);
}

Result<TrajectoryResult> OpenLoopRun::run_trajectory(int64_t position, int64_t id) {
  const auto start = Clock::now();
  SINEW_ASSIGN(const std::unique_ptr<dataset::Episode> episode, dataset_.open_episode(id));
  TrajectoryResult result;
  result.id = id;
  result.episode_index = episode->index();
  result.steps = std::min(options_.max_steps, episode->length());
  result.dims = dims_;
  if (result.steps < 1) {
    return bad_input("the episode has no rows");
  }
  SINEW_TRY(read_recorded(*episode, result));
  SINEW_TRY(read_state(*episode, result));
  result.predicted.resize(result.recorded.size());
  result.load_ms = milliseconds_since(start);

  const auto trajectories = std::ssize(options_.trajectories) - std::ssize(report_.skipped);
  for (int64_t row = 0; row < result.steps; row += report_.action_horizon) {
    if (options_.on_progress) {
      options_.on_progress({position, trajectories, id, row, result.steps});
    }
    if (Status status = run_call(*episode, row, result); !status.ok()) {
      return std::move(status).with(fmt::format("step {}", row));
    }
  }
  if (options_.on_progress) {
    options_.on_progress({position, trajectories, id, result.steps, result.steps});
  }
  measure(result);
  result.memory.other_bytes =
      (result.predicted.size() + result.recorded.size() + result.state.size()) * sizeof(float);
  result.total_ms = milliseconds_since(start);
  return result;
}

// The recorded actions, keys side by side: f32 [steps, dims].
Status OpenLoopRun::read_recorded(dataset::Episode& episode, TrajectoryResult& result) const {
  result.recorded.resize(static_cast<size_t>(result.steps * dims_));
  int64_t offset = 0;
  for (const ComparedKey& key : report_.keys) {
    SINEW_ASSIGN(const dataset::Step::Values column, episode.action(key.key));
    if (column.dims != key.dims || column.steps < result.steps) {
      return bad_input(
          "action \"{}\": the data set records [{}, {}], the policy predicts {} dimensions and {} "
          "rows are compared; they must agree",
          key.key, column.steps, column.dims, key.dims, result.steps);
    }
    for (int64_t row = 0; row < result.steps; ++row) {
      for (int64_t i = 0; i < key.dims; ++i) {
        const float value = column.values[static_cast<size_t>(row * key.dims + i)];
        if (!std::isfinite(value)) {
          return bad_input("action \"{}\", row {}: recorded value {} is not finite", key.key, row,
                           value);
        }
        result.recorded[static_cast<size_t>(row * dims_ + offset + i)] = value;
      }
    }
    offset += key.dims;
  }
  return {};
}

// The recorded states, where their shape is exactly that of the compared actions: as many
// dimensions, and the whole episode.
Status OpenLoopRun::read_state(dataset::Episode& episode, TrajectoryResult& result) const {
  const std::vector<GroupShape>& groups = source_.info().state;
  const auto dims =
      std::accumulate(groups.begin(), groups.end(), int64_t{0},
                      [](int64_t sum, const GroupShape& group) { return sum + group.dims; });
  if (dims != dims_ || result.steps != episode.length()) {
    return {};
  }
  std::vector<float> state(static_cast<size_t>(result.steps * dims_));
  int64_t offset = 0;
  for (const GroupShape& group : groups) {
    SINEW_ASSIGN(const dataset::Step::Values column, episode.state(group.key));
    if (column.dims != group.dims || column.steps < result.steps) {
      return {};  // run_call reports it with the policy's own message
    }
    for (int64_t row = 0; row < result.steps; ++row) {
      std::copy_n(column.values.begin() + row * group.dims, group.dims,
                  state.begin() + row * dims_ + offset);
    }
    offset += group.dims;
  }
  result.state = std::move(state);
  return {};
}

Status OpenLoopRun::run_call(dataset::Episode& episode, int64_t row, TrajectoryResult& result) {
  const auto data_start = Clock::now();
  SINEW_ASSIGN(const dataset::Step step, episode.step(shown_, row, dataset_.options().index_mode));
  const Observation& observation = view_.bind(step, noise_.next());
  const double data_ms = milliseconds_since(data_start);

  const auto call_start = Clock::now();
  SINEW_TRY(source_.act(observation, chunk_));
  const double inference_ms = milliseconds_since(call_start);

  if (result.calls >= options_.skip_timing_steps) {
    result.inference_ms.push_back(inference_ms);
    result.data_ms.push_back(data_ms);
    result.timings.push_back(chunk_.timings);
  }
  ++result.calls;
  size_t frame_bytes = 0;
  for (const dataset::Step::Frames& camera : step.video) {
    for (const preprocess::Image& image : camera.frames) {
      frame_bytes += image.pixels.size();
    }
  }
  result.memory.video_bytes =
      std::max(result.memory.video_bytes, episode.video_bytes() + frame_bytes);
  result.memory.column_bytes = std::max(result.memory.column_bytes, episode.column_bytes());
  return take_rows(row, result);
}

// Rows 0 .. action_horizon - 1 of every compared key, at `row` of the prediction.
Status OpenLoopRun::take_rows(int64_t row, TrajectoryResult& result) const {
  const int64_t rows = std::min(report_.action_horizon, result.steps - row);
  int64_t offset = 0;
  for (const ComparedKey& key : report_.keys) {
    const auto values =
        std::find_if(chunk_.actions.begin(), chunk_.actions.end(),
                     [&](const ActionValues& action) { return action.key == key.key; });
    if (values == chunk_.actions.end() || values->steps < rows || values->dims != key.dims ||
        std::ssize(values->values) != values->steps * values->dims) {
      return internal_error("the answer lacks action \"{}\" with at least {} rows of {} values",
                            key.key, rows, key.dims);
    }
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(values->values.begin() + i * key.dims, key.dims,
                  result.predicted.begin() + (row + i) * dims_ + offset);
    }
    offset += key.dims;
  }
  return {};
}

void OpenLoopRun::measure(TrajectoryResult& result) const {
  ErrorSum all;
  int64_t offset = 0;
  for (const ComparedKey& key : report_.keys) {
    ErrorSum sum;
    for (int64_t row = 0; row < result.steps; ++row) {
      for (int64_t i = 0; i < key.dims; ++i) {
        const auto at = static_cast<size_t>(row * dims_ + offset + i);
        sum.add(result.recorded[at], result.predicted[at]);
      }
    }
    result.per_key.push_back({key.key, sum.mean()});
    all.add(sum);
    offset += key.dims;
  }
  result.error = all.mean();
}

void OpenLoopRun::summarise() {
  const auto count = static_cast<double>(report_.trajectories.size());
  for (const ComparedKey& key : report_.keys) {
    report_.per_key.push_back({key.key, {}});
  }
  std::vector<double> inference_ms;
  std::vector<double> data_ms;
  for (const TrajectoryResult& trajectory : report_.trajectories) {
    report_.average.mse += trajectory.error.mse / count;
    report_.average.mae += trajectory.error.mae / count;
    for (size_t i = 0; i < report_.per_key.size(); ++i) {
      report_.per_key[i].error.mse += trajectory.per_key[i].error.mse / count;
      report_.per_key[i].error.mae += trajectory.per_key[i].error.mae / count;
    }
    inference_ms.insert(inference_ms.end(), trajectory.inference_ms.begin(),
                        trajectory.inference_ms.end());
    data_ms.insert(data_ms.end(), trajectory.data_ms.begin(), trajectory.data_ms.end());
  }
  report_.latency = latency_stats(inference_ms);
  report_.data = latency_stats(data_ms);
  report_.mean_timings = mean_of(report_.trajectories);
}

}  // namespace

preprocess::Modalities modalities_of(const PolicyInfo& info) {
  preprocess::Modalities modalities;
  modalities.video.keys = info.cameras;
  modalities.video.delta_indices = info.video_deltas;
  modalities.state.keys = group_keys(info.state);
  modalities.state.delta_indices = info.state_deltas;
  modalities.action.keys = group_keys(info.action);
  modalities.action.delta_indices = info.action_deltas;
  modalities.language.keys = {info.language_key};
  modalities.language.delta_indices = {0};
  return modalities;
}

Result<OpenLoopReport> evaluate_open_loop(ChunkSource& source, const dataset::Dataset& dataset,
                                          const OpenLoopOptions& options, NoiseSequence& noise) {
  return OpenLoopRun(source, dataset, options, noise).run();
}

}  // namespace sinew::eval
