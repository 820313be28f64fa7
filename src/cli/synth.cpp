// `sinew synth`: a checkpoint folder with made-up weights in the true layout.
#include "base/clock.h"
#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/json_text.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "synth/checkpoint.h"

#include <string>

namespace sinew::cli {

Status run_synth(const SynthOptions& options, const FlagList&) {
  if (options.profile.empty()) {
    return usage_error("the sizes are missing: `sinew synth n1.6-3b|nano --output DIR`");
  }
  if (options.output_path.empty()) {
    return usage_error("--output is missing: name the folder to write");
  }
  SINEW_ASSIGN(const synth::Profile profile, synth::find_profile(options.profile));
  const InterruptGuard interrupt;
  ProgressBar bar(options.output.quiet);
  const auto start = Clock::now();
  SINEW_ASSIGN(const synth::CheckpointSummary summary,
               synth::write_checkpoint(
                   profile, options.seed, options.output_path, [&](size_t done, size_t total) {
                     bar.update(fmt::format("writing {}", bytes_text(total)),
                                static_cast<int64_t>(done), static_cast<int64_t>(total));
                     return InterruptGuard::check();
                   }));
  bar.clear();
  const double seconds = milliseconds_since(start) / 1000;
  std::string result;
  if (options.output.json) {
    result = json_text({{"output", options.output_path},
                        {"profile", profile.name},
                        {"seed", options.seed},
                        {"tensors", summary.tensors},
                        {"parameters", summary.parameters},
                        {"tensor_bytes", summary.tensor_bytes},
                        {"shards", summary.shards},
                        {"embodiment_tag", profile.embodiment_tag},
                        {"seconds", seconds}});
  } else {
    result = fmt::format(
        "{}: {} tensors, {:.2f} M parameters in bf16, {} in {} files; seed {}, {:.1f} s\n"
        "`sinew inspect {}` shows it, `sinew bench {}` measures it\n",
        options.output_path, summary.tensors, static_cast<double>(summary.parameters) * 1e-6,
        bytes_text(summary.tensor_bytes), summary.shards, options.seed, seconds,
        options.output_path, options.output_path);
  }
  return print_result(result);
}

}  // namespace sinew::cli
