#include "cli/policy_run.h"

#include "base/error.h"
#include "base/log.h"
#include "cli/terminal.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>
#include <vector>

namespace sinew::cli {

Status check_folder_creatable(const std::string& flag, const std::string& path) {
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(path, error);
  while (!std::filesystem::exists(at, error) && at.has_parent_path() && at != at.parent_path()) {
    at = at.parent_path();
  }
  if (!std::filesystem::is_directory(at, error)) {
    return bad_input("--{} {}: {} is not a folder; name a folder that exists or can be created",
                     flag, path, at.string());
  }
  if (access(at.c_str(), W_OK | X_OK) != 0) {
    return bad_input("--{} {}: {} is not writable; choose another folder", flag, path, at.string());
  }
  return {};
}

Result<LoadedPolicy> load_policy(const ModelOptions& options) {
  if (options.policy.model_path.empty()) {
    return usage_error("CHECKPOINT is missing: name the checkpoint folder, or give --model-path");
  }
  if (!options.policy.dump_sites.empty()) {
    SINEW_TRY(check_folder_creatable("dump-sites", options.policy.dump_sites));
  }
  const auto start = std::chrono::steady_clock::now();
  SINEW_ASSIGN(Policy policy, Policy::load(options.policy));
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  if (options.profile) {
    policy.set_stage_timing(true);
  }
  const PolicyInfo& info = policy.info();
  for (const std::string& notice : info.notices) {
    log_info("notice: {}", notice);
  }
  for (const std::string& warning : info.warnings) {
    log_warning("{}", warning);
  }
  log_info("{} on {} in {}, loaded in {:.0f} ms; {} action tokens are computed, {} rows decoded",
           info.embodiment_tag, info.device, info.precision, elapsed.count(), info.horizon,
           info.action_steps);
  return LoadedPolicy{std::move(policy), elapsed.count()};
}

Status check_original(const OriginalBackendOptions& original, const FlagList& flags) {
  if (original.inference_mode == "tensorrt") {
    return unsupported(
        "--inference-mode tensorrt: sinew loads no TensorRT engines; leave the flag out to run the "
        "checkpoint with sinew's own engine");
  }
  if (flags.given("inference-mode")) {
    log_info(
        "notice: --inference-mode {} is ignored: sinew runs the checkpoint with its own engine",
        original.inference_mode);
  }
  return {};
}

Status check_not_input(const std::string& flag, const std::string& path,
                       const std::string& input_flag, const std::string& input) {
  std::error_code none;  // either may not exist
  if (!input.empty() && std::filesystem::equivalent(path, input, none)) {
    return usage_error(
        "--{} {}: is the file that --{} reads and would overwrite it; choose another", flag, path,
        input_flag);
  }
  return {};
}

void note_unused_seed(const FlagList& flags) {
  if (flags.given("seed") && flags.given("noise")) {
    log_info("notice: --seed is ignored: --noise gives the initial noise");
  }
}

std::string profile_table(const Timings& timings, const std::string& title) {
  const double whole = timings.end_to_end_ms;
  Table table({title, "ms", "share"}, {false, true, true});
  const auto row = [&](const std::string& name, double ms) {
    table.add({name, fmt::format("{:.3f}", ms),
               whole > 0 ? fmt::format("{:.1f} %", 100 * ms / whole) : ""});
  };
  const std::vector<std::pair<const char*, double>> parts{
      {"preprocess", timings.preprocess_ms}, {"tokenise", timings.tokenize_ms},
      {"vision", timings.vision_ms},         {"language", timings.language_ms},
      {"action head", timings.action_ms},    {"decode", timings.decode_ms}};
  double sum = 0;
  for (const auto& [name, ms] : parts) {
    row(name, ms);
    sum += ms;
    if (name == std::string("action head")) {
      for (size_t i = 0; i < timings.step_ms.size(); ++i) {
        row(fmt::format("  denoising step {}", i), timings.step_ms[i]);
      }
    }
  }
  row("other", std::max(0.0, whole - sum));
  row("end to end", whole);
  return table.text(has_colour(stdout));
}

size_t peak_resident_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss < 0) {
    return 0;
  }
  return static_cast<size_t>(usage.ru_maxrss) * 1024;  // Linux counts kibibytes
}

}  // namespace sinew::cli
