// An evaluation as one JSON document (docs/cli.md, verb eval).
#pragma once

#include "eval/open_loop.h"
#include "io/json.h"

#include <cstdint>
#include <span>

namespace sinew::eval {

// {"trajectories": [{id, steps, mse, mae, per_key, ...}], "mse", "mae", "per_key", "latency_ms",
// "data_ms", ...}. Without `with_statistics` only what ran: ids, steps and the horizon.
io::Json report_json(const OpenLoopReport& report, bool with_statistics);

// {"count", "total", "mean", "min", "max", "p50", "p90", "p99", "jitter"}; with count 0 every
// figure is null, since there is nothing to state.
io::Json latency_json(const LatencyStats& stats);

// Row-major values as a list of rows of `width` numbers; an empty list without any.
io::Json rows_json(std::span<const float> values, int64_t width);

// Component times of one call in milliseconds.
io::Json timings_json(const Timings& timings);

}  // namespace sinew::eval
