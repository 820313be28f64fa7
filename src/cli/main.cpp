// The program `sinew`: picks the verb, fills its options from the words, runs it, and turns what
// went wrong into one message on stderr and an exit code.
#include "base/error.h"
#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/flag_value.h"
#include "cli/parser.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

#include "sinew/version.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::cli {
namespace {

using Words = std::vector<std::string>;

struct Verb {
  const char* name;
  const char* summary;
  Status (*run)(const Verb& verb, const Words& words);
};

// The part that every verb shares: flags, help, log level, notices.
template <class Options, Status (*kBody)(const Options&, const FlagList&)>
Status run_verb(const Verb& verb, const Words& words) {
  Options options;
  FlagList flags;
  declare_flags(flags, options);
  if (asks_for_help(words)) {
    return print_result(help_text(verb.name, verb.summary, flags));
  }
  SINEW_TRY(parse_flags(verb.name, words, flags));
  if (options.output.quiet && options.output.verbose) {
    return usage_error("--quiet and --verbose contradict each other; drop one of the two");
  }
  if (options.output.quiet) {
    set_log_level(LogLevel::kWarning);
  } else if (options.output.verbose) {
    set_log_level(LogLevel::kDebug);
  }
  SINEW_TRY(report_effects(flags));
  return kBody(options, flags);
}

constexpr std::array<Verb, 7> kVerbs{{
    {"infer", "One observation in, one chunk of actions out.", run_verb<InferOptions, run_infer>},
    {"eval", "Open-loop evaluation: predictions against recorded trajectories.",
     run_verb<EvalOptions, run_eval>},
    {"inspect", "What is in a checkpoint or a data set, and how it will be run.",
     run_verb<InspectOptions, run_inspect>},
    {"stats", "Statistics of a data set: compute them, or compare them with a checkpoint's.",
     run_verb<StatsOptions, run_stats>},
    {"doctor", "What this machine offers, and what to do about what it lacks.",
     run_verb<DoctorOptions, run_doctor>},
    {"bench", "Latency, throughput and memory of each component, against the machine's bounds.",
     run_verb<BenchOptions, run_bench>},
    {"synth", "A checkpoint folder with made-up weights in the true layout.",
     run_verb<SynthOptions, run_synth>},
}};

// Verbs of the design that later versions bring.
constexpr std::array<std::string_view, 7> kLaterVerbs{"serve",    "client", "calibrate", "build",
                                                      "pipeline", "verify", "sweep"};

std::string overview() {
  std::string out =
      "sinew runs robot vision-language-action policies.\n\n"
      "usage: sinew VERB [CHECKPOINT] [flags]\n\n";
  for (const Verb& verb : kVerbs) {
    out += fmt::format("  {:<9} {}\n", verb.name, verb.summary);
  }
  out +=
      "\n`sinew VERB --help` explains the flags of a verb; `sinew --version` prints the version.\n"
      "Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 bad input, 4 device unavailable or\n"
      "unsuitable, 5 a threshold was not met.\n";
  return out;
}

Status run_words(const Words& words) {
  if (words.empty()) {
    return usage_error("a verb is missing\n\n{}", overview());
  }
  const std::string& name = words.front();
  if (name == "--help" || name == "-h" || name == "help") {
    return print_result(overview());
  }
  if (name == "--version") {
    return print_result(fmt::format("sinew {}\n", kVersion));
  }
  Words names;
  for (const Verb& verb : kVerbs) {
    if (name == verb.name) {
      return verb.run(verb, {words.begin() + 1, words.end()});
    }
    names.emplace_back(verb.name);
  }
  for (const std::string_view later : kLaterVerbs) {
    if (name == later) {
      return usage_error("`sinew {}` is not part of this version ({}); it has: {}", name, kVersion,
                         fmt::join(names, ", "));
    }
  }
  const std::string near = nearest_name(name, names);
  return usage_error("there is no verb \"{}\"{}; `sinew --help` lists them", name,
                     near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

}  // namespace
}  // namespace sinew::cli

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const sinew::Status status = sinew::cli::run_words(words);
    if (!status.ok()) {
      sinew::log_error("{}", status.message());
    }
    return static_cast<int>(sinew::cli::exit_code(status.code()));
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\n", stderr);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "error: %s\n", failure.what());
  }
  return static_cast<int>(sinew::cli::ExitCode::kRuntime);
}
