// Open-loop evaluation: recorded observations in, predicted actions compared with the recorded ones
// (spec/dataset.md section 6). The state shown at every step is the recorded one; nothing is
// simulated.
#pragma once

#include "dataset/dataset.h"
#include "eval/chunk_source.h"
#include "eval/metrics.h"
#include "eval/noise_sequence.h"

#include "sinew/result.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sinew::eval {

struct OpenLoopProgress {
  int64_t trajectory = 0;    // position in the list of trajectories, from 0
  int64_t trajectories = 0;  // length of that list
  int64_t id = 0;
  int64_t step = 0;  // rows done
  int64_t steps = 0;
};

struct OpenLoopOptions {
  std::vector<int64_t> trajectories{0};  // loader positions; those out of range are skipped
  int64_t max_steps = 200;               // rows of each trajectory
  std::optional<int64_t>
      action_horizon;                    // stride and rows used a call; empty: min(16, the chunk's)
  std::vector<std::string> action_keys;  // which and in which order; empty: the policy's
  int64_t skip_timing_steps = 1;         // first calls of each trajectory left out of the timing
  std::function<void(const OpenLoopProgress&)> on_progress;
};

// One action key of the comparison.
struct ComparedKey {
  std::string key;
  int64_t dims = 0;
  std::vector<std::string> titles;  // [dims], "key[i] (joint)" as far as the names are known
};

struct KeyError {
  std::string key;
  ActionError error;
};

// The most bytes an episode held at a time.
struct EpisodeMemory {
  size_t video_bytes = 0;   // decoder buffers and the frames of one step
  size_t column_bytes = 0;  // states and actions of the whole episode
  size_t other_bytes = 0;   // what the comparison keeps

  size_t total() const { return video_bytes + column_bytes + other_bytes; }
};

struct TrajectoryResult {
  int64_t id = 0;             // loader position
  int64_t episode_index = 0;  // the data set's own number
  int64_t steps = 0;          // rows compared
  int64_t dims = 0;           // sum over the compared keys
  int64_t calls = 0;
  ActionError error;
  std::vector<KeyError> per_key;
  std::vector<float> predicted;  // [steps, dims], keys side by side
  std::vector<float> recorded;   // [steps, dims]
  std::vector<float> state;      // [steps, dims] where shapes agree (section 6, plot), else empty
  std::vector<double> inference_ms;  // each timed call: observation in, actions out
  std::vector<double> data_ms;       // each timed call: reading the step, frames decoded
  std::vector<Timings> timings;      // each timed call, as the policy measured itself
  double load_ms = 0;
  double total_ms = 0;
  EpisodeMemory memory;
};

struct OpenLoopReport {
  int64_t action_horizon = 0;  // stride that was used
  std::vector<ComparedKey> keys;
  std::vector<TrajectoryResult> trajectories;
  std::vector<int64_t> skipped;   // ids beyond the data set
  ActionError average;            // plain mean over trajectories
  std::vector<KeyError> per_key;  // plain mean over trajectories
  LatencyStats latency;
  LatencyStats data;
  Timings mean_timings;  // over all timed calls
};

// What the policy reads, as the dataset's vocabulary: keys and row offsets, without statistics.
preprocess::Modalities modalities_of(const PolicyInfo& info);

// Runs the evaluation. `noise` may be empty. Errors: kUsage for more rows than a chunk has or an
// unknown action key; kBadInput for a data set without what the policy needs, or when no trajectory
// is left; whatever the data set or the source report, with the trajectory and step in front.
Result<OpenLoopReport> evaluate_open_loop(ChunkSource& source, const dataset::Dataset& dataset,
                                          const OpenLoopOptions& options, NoiseSequence& noise);

}  // namespace sinew::eval
