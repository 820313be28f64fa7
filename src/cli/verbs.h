// The verbs' bodies. Each takes settled options and the flags they came from, writes its result to
// stdout, and returns what went wrong. Nothing is left half-written.
#pragma once

#include "cli/options.h"

#include "sinew/result.h"

namespace sinew::cli {

Status run_infer(const InferOptions& options, const FlagList& flags);
Status run_eval(const EvalOptions& options, const FlagList& flags);
Status run_inspect(const InspectOptions& options, const FlagList& flags);
Status run_stats(const StatsOptions& options, const FlagList& flags);
Status run_doctor(const DoctorOptions& options, const FlagList& flags);
Status run_bench(const BenchOptions& options, const FlagList& flags);
Status run_synth(const SynthOptions& options, const FlagList& flags);

}  // namespace sinew::cli
