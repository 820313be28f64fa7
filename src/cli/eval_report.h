// The evaluation's result for people: tables in the order metrics, initialisation, trajectories,
// inference, memory (spec/seed-features.md 108).
#pragma once

#include "eval/open_loop.h"

#include "sinew/policy.h"

#include <string>

namespace sinew::cli {

// What an evaluation took beyond the report of its own.
struct EvalCosts {
  double model_load_ms = 0;
  double dataset_load_ms = 0;
  Policy::Memory policy_memory;
  size_t peak_resident_bytes = 0;
};

std::string eval_summary(const eval::OpenLoopReport& report, const EvalCosts& costs,
                         int64_t skip_timing_steps, bool colour);

}  // namespace sinew::cli
