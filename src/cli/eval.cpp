// `sinew eval`: open-loop evaluation over recorded trajectories (spec/dataset.md section 6).
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/action_file.h"
#include "cli/dataset_check.h"
#include "cli/eval_report.h"
#include "cli/flag_value.h"
#include "cli/horizon_comparison.h"
#include "cli/json_text.h"
#include "cli/policy_run.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "dataset/dataset.h"
#include "eval/noise_sequence.h"
#include "eval/open_loop.h"
#include "eval/plot.h"
#include "eval/report.h"
#include "eval/saved_actions.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "io/json.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <span>
#include <utility>

namespace sinew::cli {
namespace {

Status check_plot_paths(const EvalOptions& options) {
  for (const int64_t id : options.traj_ids) {
    SINEW_ASSIGN(const auto targets,
                 eval::plot_targets(options.save_plot_path, id, options.traj_ids.size() > 1));
    if (targets.size() > 1) {
      return check_folder_creatable("save-plot-path", options.save_plot_path);
    }
    SINEW_TRY(io::check_writable(targets.front().path));
  }
  return {};
}

// Everything that can be refused without reading a checkpoint or a data set.
Status check_options(const EvalOptions& options, const FlagList& flags) {
  SINEW_TRY(check_original(options.original, flags));
  if (options.model.policy.model_path.empty() && (flags.given("host") || flags.given("port"))) {
    return unsupported(
        "--host and --port: evaluating a running server is not part of this version; give "
        "CHECKPOINT");
  }
  if (options.dataset_path.empty()) {
    return usage_error("--dataset-path is missing: name the folder of a LeRobot data set");
  }
  std::set<int64_t> ids;
  for (const int64_t id : options.traj_ids) {
    if (!ids.insert(id).second) {
      return usage_error("--traj-ids: trajectory {} is named twice", id);
    }
  }
  if (!options.get_performance_stats && !options.save_plot_path.empty()) {
    return usage_error("--save-plot-path needs what --no-get-performance-stats turns off");
  }
  if (!options.get_performance_stats && !options.model.profile &&
      flags.given("skip-timing-steps")) {
    return usage_error("--skip-timing-steps shapes figures that --no-get-performance-stats hides");
  }
  if (!options.get_performance_stats && flags.given("compare-horizons") &&
      options.compare_horizons) {
    return usage_error("--compare-horizons compares figures that --no-get-performance-stats hides");
  }
  if (!options.save_actions.empty()) {
    SINEW_TRY(eval::check_saved_actions_path(options.save_actions));
    SINEW_TRY(check_not_input("save-actions", options.save_actions, "noise", options.model.noise));
    SINEW_TRY(io::check_writable(options.save_actions));
  }
  SINEW_TRY(check_dump_folder(options.model));
  return options.save_plot_path.empty() ? Status() : check_plot_paths(options);
}

// A data set without readable statistics is no complete one (spec/dataset.md section 1), although
// the policy normalises with the checkpoint's.
Status check_statistics_file(const dataset::Dataset& data) {
  const std::filesystem::path path = data.path() / "meta" / "stats.json";
  const std::string remedy = fmt::format("`sinew stats {}` writes it", data.path().string());
  if (!io::path_exists(path)) {
    return not_found("{} is missing; {}", path.string(), remedy);
  }
  SINEW_ASSIGN(const io::Json document, io::read_json_file(path));
  if (!document.is_object()) {
    return bad_input("{}: expected an object of features; {} anew with --refresh", path.string(),
                     remedy);
  }
  return {};
}

// What is going to run, before it does (spec/seed-features.md 16).
void log_settings(const EvalOptions& options, const PolicyInfo& info,
                  std::span<const OtherHorizon> others) {
  const int64_t horizon = options.action_horizon.value_or(std::min<int64_t>(16, info.action_steps));
  std::string again;
  for (const OtherHorizon& other : others) {
    again += fmt::format("{}{} action tokens ({})", again.empty() ? "" : " and ", other.tokens,
                         other.source);
  }
  log_info("{}",
           listing({{"model", options.model.policy.model_path},
                    {"data set", options.dataset_path},
                    {"embodiment", info.embodiment_tag},
                    {"trajectories", fmt::format("{}", fmt::join(options.traj_ids, " "))},
                    {"steps", fmt::format("at most {}", options.steps)},
                    {"action horizon", fmt::format("{} of {} predicted rows; {} action tokens",
                                                   horizon, info.action_steps, info.horizon)},
                    {"other horizons", again.empty() ? "none"
                                                     : again + ": the same steps once more; "
                                                               "--no-compare-horizons leaves "
                                                               "them out"},
                    {"denoising steps", std::to_string(info.denoising_steps)},
                    {"warm-up steps", std::to_string(options.skip_timing_steps)},
                    {"mode", fmt::format("{} on {}", info.precision, info.device)},
                    {"engine", "none: the checkpoint is run as it is"},
                    {"attention", "sinew's own, each image by itself"},
                    {"noise", options.model.noise.empty()
                                  ? fmt::format("seed {}", options.model.policy.seed)
                                  : options.model.noise}}));
}

void warn_about_rows_outside(const PolicyInfo& info, const std::string& index_mode) {
  const auto is_outside = [](const std::vector<int64_t>& deltas) {
    return std::any_of(deltas.begin(), deltas.end(), [](int64_t delta) { return delta != 0; });
  };
  if (index_mode == "clamp" && (is_outside(info.video_deltas) || is_outside(info.state_deltas))) {
    log_warning(
        "the policy looks at rows {} around a step; where they lie outside the episode its first "
        "or last row is used (--index-mode python: negative rows wrap, as the original's do)",
        fmt::join(is_outside(info.video_deltas) ? info.video_deltas : info.state_deltas, " "));
  }
}

// Says what speaks against the data set before anything is predicted from it. All warnings of the
// run, those that were said while loading included.
Result<std::vector<std::string>> warn_about_dataset(const EvalOptions& options,
                                                    const PolicyInfo& info,
                                                    const dataset::Dataset& data) {
  warn_about_rows_outside(info, options.index_mode);
  const PolicyOptions& policy = options.model.policy;
  SINEW_ASSIGN(const io::Checkpoint checkpoint,
               io::Checkpoint::open(policy.model_path, {.processor_path = policy.processor_path}));
  SINEW_ASSIGN(const preprocess::ProcessorConfig config,
               preprocess::resolve_processor_config(checkpoint, {info.embodiment_tag}));
  const auto first = std::find_if(options.traj_ids.begin(), options.traj_ids.end(),
                                  [&](int64_t id) { return id >= 0 && id < data.info().episodes; });
  std::vector<std::string> warnings =
      check_dataset(data, config, first == options.traj_ids.end() ? 0 : *first);
  for (const std::string& warning : warnings) {
    log_warning("{}", warning);
  }
  warnings.insert(warnings.begin(), info.warnings.begin(), info.warnings.end());
  return warnings;
}

Status write_plots(const EvalOptions& options, const eval::OpenLoopReport& report,
                   std::vector<std::string>& written) {
  const bool several = report.trajectories.size() > 1;
  for (const eval::TrajectoryResult& trajectory : report.trajectories) {
    SINEW_ASSIGN(const auto targets,
                 eval::plot_targets(options.save_plot_path, trajectory.id, several));
    for (const eval::PlotTarget& target : targets) {
      if (targets.size() > 1) {
        std::error_code error;
        std::filesystem::create_directories(target.path.parent_path(), error);
        if (error) {
          return bad_input("--save-plot-path {}: cannot be created: {}", options.save_plot_path,
                           error.message());
        }
      }
      SINEW_ASSIGN(const std::string image,
                   eval::draw_plot(trajectory, report.keys, report.action_horizon, target.format));
      SINEW_TRY(io::write_file_atomic(target.path, image));
      written.push_back(target.path.string());
    }
  }
  return {};
}

int64_t compared_dims(const EvalOptions& options, const PolicyInfo& info) {
  int64_t dims = 0;
  for (const GroupShape& group : info.action) {
    const bool is_compared = options.modality_keys.empty() ||
                             std::find(options.modality_keys.begin(), options.modality_keys.end(),
                                       group.key) != options.modality_keys.end();
    dims += is_compared ? group.dims : 0;
  }
  return dims;
}

io::Json memory_json(const EvalCosts& costs) {
  return {{"weights", costs.policy_memory.weight_bytes},
          {"activations", costs.policy_memory.arena_bytes},
          {"workspace", costs.policy_memory.workspace_bytes},
          {"staging", costs.policy_memory.staging_bytes},
          {"peak_resident", costs.peak_resident_bytes}};
}

// What ran, and what came of it.
struct Evaluation {
  PolicyInfo info;
  std::vector<std::string> warnings;
  std::vector<OtherHorizon> others;
  eval::OpenLoopReport report;
  EvalCosts costs;
  std::vector<std::string> written;  // files
};

io::Json document(const EvalOptions& options, const FlagList& flags, const Evaluation& run) {
  io::Json json = eval::report_json(run.report, options.get_performance_stats);
  json["options"] = options_json(flags);
  json["config"] = config_json(run.info);
  json["notices"] = run.info.notices;
  json["warnings"] = run.warnings;
  json["files"] = run.written;
  if (options.get_performance_stats) {
    json["other_horizons"] = horizons_json(run.others);
    json["memory_bytes"] = memory_json(run.costs);
    json["initialisation_ms"] = {{"model", run.costs.model_load_ms},
                                 {"dataset", run.costs.dataset_load_ms}};
  }
  return json;
}

Result<std::unique_ptr<dataset::Dataset>> open_dataset(const EvalOptions& options,
                                                       double& load_ms) {
  dataset::DatasetOptions dataset_options;
  dataset_options.index_mode =
      options.index_mode == "python" ? dataset::IndexMode::kPython : dataset::IndexMode::kClamp;
  const auto start = Clock::now();
  SINEW_ASSIGN(std::unique_ptr<dataset::Dataset> data,
               dataset::Dataset::open(options.dataset_path, dataset_options));
  SINEW_TRY(check_statistics_file(*data));
  load_ms = milliseconds_since(start);
  for (const std::string& notice : data->info().notices) {
    log_info("notice: {}", notice);
  }
  return data;
}

// Empty without --profile.
std::string profile_text(const EvalOptions& options, const eval::OpenLoopReport& report) {
  if (!options.model.profile) {
    return "";
  }
  return report.latency.count == 0
             ? "no profile: no call was timed (--skip-timing-steps)\n"
             : profile_table(report.mean_timings, "component, mean of timed calls");
}

// The result for people.
std::string page(const EvalOptions& options, const Evaluation& run, const std::string& profile) {
  std::string out =
      options.get_performance_stats
          ? eval_summary(run.report, run.costs, options.skip_timing_steps, has_colour(stdout))
          : fmt::format("{} trajectories predicted\n", run.report.trajectories.size());
  out += profile.empty() ? "" : "\n" + profile;
  for (const std::string& path : run.written) {
    out += fmt::format("\nwritten {}", path);
  }
  out += run.written.empty() ? "" : "\n";
  return out;
}

// `label` is what the progress bar begins with.
Result<eval::OpenLoopReport> evaluate(const EvalOptions& options, const std::string& label,
                                      eval::ChunkSource& source, const dataset::Dataset& data,
                                      eval::NoiseSequence& noise) {
  eval::OpenLoopOptions open_loop;
  open_loop.trajectories = options.traj_ids;
  open_loop.max_steps = options.steps;
  open_loop.action_horizon = options.action_horizon;
  open_loop.action_keys = options.modality_keys;
  open_loop.skip_timing_steps = options.skip_timing_steps;
  ProgressBar bar(options.output.quiet);
  open_loop.on_progress = [&](const eval::OpenLoopProgress& at) {
    bar.update(
        fmt::format("{}trajectory {} ({} of {})", label, at.id, at.trajectory + 1, at.trajectories),
        at.step, at.steps);
  };
  return eval::evaluate_open_loop(source, data, open_loop, noise);
}

// --compare-horizons: what else is evaluated, or why nothing is.
std::vector<OtherHorizon> horizons_to_compare(const EvalOptions& options, const FlagList& flags,
                                              const PolicyInfo& info) {
  std::vector<OtherHorizon> others = other_horizons(info);
  if (others.empty() && flags.given("compare-horizons")) {
    log_info(
        "notice: --compare-horizons has no effect: config.json and delta_indices agree on {} "
        "action tokens",
        info.action_steps);
  }
  if (!options.compare_horizons || !options.get_performance_stats) {
    others.clear();
  }
  return others;
}

// The chosen policy: loaded, held against the data set, evaluated, its files written, and freed.
Result<Evaluation> run_chosen(const EvalOptions& options, const FlagList& flags,
                              const dataset::Dataset& data, eval::NoiseSequence noise) {
  Evaluation run;
  SINEW_ASSIGN(LoadedPolicy loaded, load_policy(options.model));
  run.costs.model_load_ms = loaded.load_ms;
  run.info = loaded.policy.info();
  if (!options.save_plot_path.empty()) {
    SINEW_ASSIGN(const auto targets, eval::plot_targets(options.save_plot_path, 0, false));
    SINEW_TRY(eval::check_plot_size(targets, compared_dims(options, run.info)));
  }
  run.others = horizons_to_compare(options, flags, run.info);
  log_settings(options, run.info, run.others);
  SINEW_ASSIGN(run.warnings, warn_about_dataset(options, run.info, data));
  PolicySource source(loaded.policy);
  SINEW_ASSIGN(run.report, evaluate(options, "", source, data, noise));
  run.costs.policy_memory = loaded.policy.memory();
  run.costs.peak_resident_bytes = peak_resident_bytes();
  if (!options.save_plot_path.empty()) {
    SINEW_TRY(write_plots(options, run.report, run.written));
  }
  if (!options.save_actions.empty()) {
    SINEW_TRY(eval::save_actions(options.save_actions, run.report));
    run.written.push_back(options.save_actions);
  }
  return run;
}

}  // namespace

Status run_eval(const EvalOptions& options, const FlagList& flags) {
  SINEW_TRY(check_options(options, flags));
  note_unused_seed(flags);
  eval::NoiseSequence noise;
  if (!options.model.noise.empty()) {
    SINEW_ASSIGN(noise, eval::NoiseSequence::read(options.model.noise));
  }
  double dataset_load_ms = 0;
  SINEW_ASSIGN(const std::unique_ptr<dataset::Dataset> data,
               open_dataset(options, dataset_load_ms));
  SINEW_ASSIGN(Evaluation run, run_chosen(options, flags, *data, noise));
  run.costs.dataset_load_ms = dataset_load_ms;
  const std::string profile = profile_text(options, run.report);
  if (!options.output.json) {  // before the comparison: nobody waits for what is there
    SINEW_TRY(print_result(page(options, run, profile)));
  }
  for (OtherHorizon& other : run.others) {
    const auto again = [&](eval::ChunkSource& source, eval::NoiseSequence& same_noise) {
      return evaluate(options, fmt::format("{} action tokens, ", other.tokens), source, *data,
                      same_noise);
    };
    evaluate_horizon(options.model, noise, again, other);
  }
  if (options.output.json) {
    if (!profile.empty()) {
      log_info("{}", profile);
    }
    return print_result(json_text(document(options, flags, run), -1));
  }
  return run.others.empty() ? Status()
                            : print_result("\n" + horizons_text(run.others, run.info, run.report));
}

}  // namespace sinew::cli
