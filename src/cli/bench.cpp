// `sinew bench`: how long each component of a call takes, what it had to do, and how far from the
// machine's bounds that is.
#include "base/error.h"
#include "base/log.h"
#include "cli/bench_observation.h"
#include "cli/bench_report.h"
#include "cli/flag_value.h"
#include "cli/interrupt.h"
#include "cli/json_text.h"
#include "cli/policy_run.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/backend.h"
#include "engine/processors.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "io/scratch_folder.h"
#include "kernels/cpu/machine_bounds.h"
#include "synth/checkpoint.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

namespace sinew::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Status check_options(const BenchOptions& options) {
  const bool has_checkpoint = !options.model.policy.model_path.empty();
  if (has_checkpoint && !options.synthetic.empty()) {
    return usage_error("CHECKPOINT and --synthetic: give one of them");
  }
  if (!has_checkpoint && options.synthetic.empty()) {
    return usage_error(
        "CHECKPOINT is missing: name the checkpoint folder, or give --synthetic n1.6-3b|nano");
  }
  return {};
}

// Temporary folders of a run, removed with it.
struct Scratch {
  std::optional<io::ScratchFolder> folder;

  Result<fs::path> path() {
    if (!folder) {
      std::error_code error;
      const fs::path parent = fs::temp_directory_path(error);
      if (error) {
        return bad_input("no folder for temporary files: {}; set TMPDIR", error.message());
      }
      SINEW_ASSIGN(folder, io::ScratchFolder::create(parent));
    }
    return folder->path();
  }
};

// --synthetic: a checkpoint of made-up weights in place of the named one.
Status make_checkpoint(const BenchOptions& options, Scratch& scratch, PolicyOptions& policy) {
  SINEW_ASSIGN(const synth::Profile profile, synth::find_profile(options.synthetic));
  SINEW_ASSIGN(const fs::path folder, scratch.path());
  ProgressBar bar(options.output.quiet);
  const auto on_progress = [&](size_t done, size_t total) {
    bar.update(fmt::format("writing {} of made-up weights", bytes_text(total)),
               static_cast<int64_t>(done), static_cast<int64_t>(total));
    return InterruptGuard::check();
  };
  const fs::path checkpoint = folder / "checkpoint";
  auto written =
      synth::write_checkpoint(profile, options.model.policy.seed, checkpoint, on_progress);
  if (!written.ok()) {
    return std::move(written).status().with(
        fmt::format("--synthetic {} (TMPDIR chooses the disk)", options.synthetic));
  }
  policy.model_path = checkpoint.string();
  return {};
}

// --views: the number of cameras is the processor's word, so a copy of the processor files with as
// many cameras is read in place of the checkpoint's.
Status make_processor(int64_t views, Scratch& scratch, PolicyOptions& policy) {
  SINEW_ASSIGN(const io::Checkpoint checkpoint,
               io::Checkpoint::open(policy.model_path, {.processor_path = policy.processor_path}));
  io::Json processor = checkpoint.processor_config().json();
  const io::Json::json_pointer modalities("/processor_kwargs/modality_configs");
  if (processor.contains(modalities) && processor[modalities].is_object()) {
    for (auto& [tag, entry] : processor[modalities].items()) {
      const io::Json::json_pointer times("/video/delta_indices");
      if (!entry.contains(times) || !entry[times].is_array() || entry[times].empty()) {
        continue;  // the loader says what is wrong with it
      }
      io::Json cameras = io::Json::array();
      for (int64_t i = 0; i < views / std::ssize(entry[times]); ++i) {
        cameras.push_back(fmt::format("view{}", i));
      }
      if (!cameras.empty()) {
        entry["video"]["modality_keys"] = cameras;
      }
    }
  }
  SINEW_ASSIGN(const fs::path folder, scratch.path());
  const auto write = [&](const char* name, const io::Json& json) {
    return io::write_file_atomic(folder / name, json.dump());
  };
  SINEW_TRY(write("processor_config.json", processor));
  SINEW_TRY(write("statistics.json", checkpoint.statistics().json()));
  if (!checkpoint.embodiment_ids().is_null()) {
    SINEW_TRY(write("embodiment_id.json", checkpoint.embodiment_ids().json()));
  }
  policy.processor_path = folder.string();
  return {};
}

Status check_views(const std::optional<int64_t>& asked, const PolicyInfo& info) {
  const auto times = static_cast<int64_t>(info.video_deltas.size());
  const int64_t views = static_cast<int64_t>(info.cameras.size()) * times;
  if (asked && *asked != views) {
    return usage_error(
        "--views {}: embodiment {} looks at {} frames of each camera, and its processor files make "
        "{} views; ask for a multiple of {}, or name an embodiment of processor_config.json",
        *asked, info.embodiment_tag, times, views, times);
  }
  return {};
}

// The number of "cuda:N"; nothing for another device.
std::optional<int> gpu_number(const PolicyInfo& info) {
  const std::string prefix = "cuda:";
  return info.device.starts_with(prefix)
             ? std::optional(std::stoi(info.device.substr(prefix.size())))
             : std::nullopt;
}

Result<MachineBounds> measure_bounds(const BenchOptions& options, const PolicyInfo& info) {
  MachineBounds bounds;
  if (const auto gpu = gpu_number(info)) {
    const auto precision = ops::precision_from_name(info.precision);
    SINEW_ASSIGN(const engine::CudaBounds measured,
                 engine::measure_cuda_bounds(*gpu, precision.value_or(ops::Precision::kFp32)));
    bounds.read_bytes_per_second = measured.read_bytes_per_second;
    if (measured.flop_per_second > 0) {
      bounds.flop_per_second = measured.flop_per_second;
    }
    bounds.instructions = measured.product;
    return bounds;
  }
  std::string note;
  bounds.threads =
      engine::resolve_threads(options.model.policy.threads, engine::processors(), note);
  SINEW_ASSIGN(bounds.read_bytes_per_second, cpu::measure_read_bandwidth(bounds.threads));
  const auto precision = ops::precision_from_name(info.precision);
  if (precision) {
    if (const auto peak = cpu::measure_arithmetic_peak(*precision, bounds.threads)) {
      bounds.flop_per_second = peak->flop_per_second;
      bounds.instructions = peak->instructions;
    }
  }
  return bounds;
}

// Where the times of one call go.
class Recorder {
 public:
  explicit Recorder(int64_t denoising_steps) {
    for (const char* name : {"preprocess", "tokenise", "vision", "language", "action head, once"}) {
      components_.push_back({.name = name});
    }
    for (int64_t step = 0; step < denoising_steps; ++step) {
      components_.push_back({.name = fmt::format("denoising step {}", step)});
    }
    for (const char* name : {"decode", "other", "end to end"}) {
      components_.push_back({.name = name});
    }
  }

  // The samples of one call, whose parts run one after the other.
  void add(std::span<const ActionChunk> chunks, double whole_ms) {
    std::vector<double> parts(components_.size());
    for (const ActionChunk& chunk : chunks) {
      const Timings& t = chunk.timings;
      double steps_ms = 0;
      for (size_t i = 0; i < t.step_ms.size(); ++i) {
        parts[kFirstStep + i] += t.step_ms[i];
        steps_ms += t.step_ms[i];
      }
      parts[kPreprocess] += t.preprocess_ms;
      parts[kTokenise] += t.tokenize_ms;
      parts[kVision] += t.vision_ms;
      parts[kLanguage] += t.language_ms;
      parts[kActionOnce] += t.action_ms - steps_ms;
      parts[kFirstStep + t.step_ms.size()] += t.decode_ms;
    }
    double known_ms = 0;
    for (const double ms : parts) {
      known_ms += ms;
    }
    parts[parts.size() - 2] = std::max(0.0, whole_ms - known_ms);
    parts.back() = whole_ms;
    for (size_t i = 0; i < parts.size(); ++i) {
      components_[i].ms.push_back(parts[i]);
    }
  }

  // With the work of each stage, done once a sample.
  std::vector<Component> finish(std::span<const Policy::StageCost> costs, int64_t batch) && {
    size_t step = 0;
    for (const Policy::StageCost& cost : costs) {
      const size_t part = cost.stage == "vision"              ? kVision
                          : cost.stage == "language"          ? kLanguage
                          : cost.stage.starts_with("denoise") ? kFirstStep + step++
                                                              : kActionOnce;
      for (Component* c : {&components_[part], &components_.back()}) {
        c->flop += batch * cost.flop;
        c->weight_bytes += batch * cost.weight_bytes;
      }
    }
    return std::move(components_);
  }

 private:
  static constexpr size_t kPreprocess = 0;
  static constexpr size_t kTokenise = 1;
  static constexpr size_t kVision = 2;
  static constexpr size_t kLanguage = 3;
  static constexpr size_t kActionOnce = 4;
  static constexpr size_t kFirstStep = 5;  // as many as there are, then decode, other, end to end

  std::vector<Component> components_;
};

// Warm-up calls, then timed ones.
Status run_calls(const BenchOptions& options, Policy& policy, const RandomObservation& random,
                 BenchReport& report) {
  const auto batch = static_cast<size_t>(options.batch);
  const std::vector<Observation> observations(batch, random.observation());
  std::vector<ActionChunk> chunks(batch);
  const auto call = [&] {
    return batch == 1 ? policy.act(observations.front(), chunks.front())
                      : policy.act_batch(observations, chunks);
  };
  Recorder recorder(report.info.denoising_steps);
  ProgressBar bar(options.output.quiet);
  const int64_t calls = options.warmup + options.iterations;
  for (int64_t i = 0; i < calls; ++i) {
    bar.update(i < options.warmup ? "warming up" : "measuring", i, calls);
    SINEW_TRY(InterruptGuard::check());
    const auto start = Clock::now();
    SINEW_TRY(call());
    const double whole_ms = ms_since(start);
    if (i == 0) {
      report.first_call_ms = whole_ms;
      report.first_tokenize_ms = chunks.front().timings.tokenize_ms;
    }
    if (i >= options.warmup) {
      recorder.add(chunks, whole_ms);
    }
  }
  const std::vector<Policy::StageCost> costs = policy.stage_costs();
  report.components = std::move(recorder).finish(costs, options.batch);
  return {};
}

// The network alone, as a server runs it: inputs prepared, stages not timed, one sample.
Status run_network(const BenchOptions& options, Policy& policy, PreparedInputs& inputs,
                   BenchReport& report) {
  policy.set_stage_timing(false);
  ActionChunk chunk;
  ProgressBar bar(options.output.quiet);
  for (int64_t i = 0; i < options.warmup + options.iterations; ++i) {
    bar.update("measuring the network", i, options.warmup + options.iterations);
    SINEW_TRY(InterruptGuard::check());
    SINEW_TRY(policy.run(inputs, chunk));
    if (i >= options.warmup) {
      report.network_ms.push_back(chunk.timings.network_ms);
    }
  }
  return {};
}

// The GPU that the policy runs on, while it holds its memory.
void describe_gpu(BenchReport& report) {
  const auto number = gpu_number(report.info);
  if (!number) {
    return;
  }
  engine::CudaSystem system = engine::cuda_system();
  report.cuda_driver = system.driver;
  report.cuda_runtime = system.runtime;
  if (static_cast<size_t>(*number) < system.devices.size()) {
    report.gpu = std::move(system.devices[static_cast<size_t>(*number)]);
  }
}

Result<BenchReport> measure(const BenchOptions& options, const ModelOptions& model,
                            FrameSize frame) {
  BenchReport report;
  report.environment = read_environment();
  if (report.environment.is_busy()) {
    log_warning("load average {:.2f} on {} cores: other work will disturb the figures",
                report.environment.load_average, report.environment.usable_cores);
  }
  SINEW_ASSIGN(LoadedPolicy loaded, load_policy(model));
  Policy& policy = loaded.policy;
  report.load_ms = loaded.load_ms;
  report.info = policy.info();
  report.checkpoint = model.policy.model_path;
  report.synthetic = options.synthetic;
  report.frame_height = frame.height;
  report.frame_width = frame.width;
  report.batch = options.batch;
  report.warmup = options.warmup;
  SINEW_TRY(check_views(options.views, report.info));
  RandomObservation random(report.info, frame, model.policy.seed);
  if (options.text_tokens) {
    SINEW_TRY(set_text_tokens(policy, *options.text_tokens, random));
  }
  PreparedInputs inputs;
  SINEW_TRY(policy.prepare(random.observation(), inputs));
  report.shape = inputs.shape();
  policy.set_stage_timing(true);
  SINEW_TRY(run_calls(options, policy, random, report));
  SINEW_TRY(run_network(options, policy, inputs, report));
  describe_gpu(report);
  report.memory = policy.memory();
  report.peak_resident_bytes = peak_resident_bytes();
  return report;
}

}  // namespace

Status run_bench(const BenchOptions& options, const FlagList& flags) {
  SINEW_TRY(check_options(options));
  SINEW_ASSIGN(const FrameSize frame, parse_frame_size(options.image_size));
  const InterruptGuard interrupt;
  Scratch scratch;
  ModelOptions model = options.model;
  if (!options.synthetic.empty()) {
    SINEW_TRY(make_checkpoint(options, scratch, model.policy));
  }
  if (options.views) {
    SINEW_TRY(make_processor(*options.views, scratch, model.policy));
  }
  SINEW_ASSIGN(BenchReport report, measure(options, model, frame));
  // Last, when the policy's memory is free and the peak is noted: the probe takes a large buffer.
  SINEW_ASSIGN(report.bounds, measure_bounds(options, report.info));
  std::string result;
  if (options.output.json) {
    io::Json json = bench_json(report);
    json["options"] = options_json(flags);
    result = json_text(json, -1);
  } else {
    result = bench_summary(report, has_colour(stdout));
  }
  return print_result(result) ? Status() : internal_error("stdout cannot be written");
}

}  // namespace sinew::cli
