// An evaluation as one JSON document (docs/cli.md, verb eval).
#pragma once

#include "eval/open_loop.h"
#include "io/json.h"

namespace sinew::eval {

// {"trajectories": [{id, steps, mse, mae, per_key, ...}], "mse", "mae", "per_key", "latency_ms",
// "data_ms", ...}. Without `with_statistics` only what ran: ids, steps and the horizon.
io::Json report_json(const OpenLoopReport& report, bool with_statistics);

// {"count", "total", "mean", "min", "max", "p50", "p90", "p99", "jitter"}; with count 0 every
// figure is null, since there is nothing to state.
io::Json latency_json(const LatencyStats& stats);

// Component times of one call in milliseconds.
io::Json timings_json(const Timings& timings);

}  // namespace sinew::eval
