// The evaluation at the horizon that was not chosen, where config.json and delta_indices disagree
// (docs/numerics.md, "Horizon"): the figures of both are what such a choice is made by.
#pragma once

#include "cli/options.h"
#include "eval/chunk_source.h"
#include "eval/noise_sequence.h"
#include "eval/open_loop.h"
#include "io/json.h"

#include "sinew/policy.h"
#include "sinew/result.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sinew::cli {

struct OtherHorizon {
  int64_t tokens = 0;
  std::string source = {};  // who asks for so many
  eval::ActionError error = {};
  eval::LatencyStats latency = {};
  double total_ms = 0;       // of loading and all calls
  std::string failure = {};  // why there are no figures; empty: there are
};

// What config.json and delta_indices ask for, without what runs; empty where they agree with it.
std::vector<OtherHorizon> other_horizons(const PolicyInfo& info);

using Evaluate =
    std::function<Result<eval::OpenLoopReport>(eval::ChunkSource& source, eval::NoiseSequence&)>;

// Loads the policy once more with other.tokens and evaluates it with the same noise, as far as that
// has rows; writes no files, and repeats no notices and warnings of the first run. A failure is
// noted: the first run's figures stand. The caller frees the first policy before, so that no two
// are in memory.
void evaluate_horizon(const ModelOptions& model, const eval::NoiseSequence& noise,
                      const Evaluate& evaluate, OtherHorizon& other);

// [{"action_tokens", "source", "mse", "mae", "mean_latency_ms", "total_ms"}], with "failure" in
// place of figures.
io::Json horizons_json(std::span<const OtherHorizon> others);

// A line each, next to what ran with info.horizon.
std::string horizons_text(std::span<const OtherHorizon> others, const PolicyInfo& info,
                          const eval::OpenLoopReport& report);

}  // namespace sinew::cli
