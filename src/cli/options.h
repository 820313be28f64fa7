// The options of every verb. Each struct declares its flags once (base/options.h); a flag means the
// same in every verb that has it (docs/cli.md).
#pragma once

#include "base/options.h"

#include "sinew/policy.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinew::cli {

// How a verb talks.
struct OutputOptions {
  bool json = false;
  bool verbose = false;
  bool quiet = false;
};

// Which policy runs, and how.
struct ModelOptions {
  PolicyOptions policy;
  std::string noise;
  std::string recipe;
  bool profile = false;
};

// Flags of the original's scripts that choose between its own back ends.
struct OriginalBackendOptions {
  std::string inference_mode = "pytorch";
  std::string trt_engine_path;
  std::string backbone_trt_engine_path;
  std::string attn_implementation;
  bool trt_use_fp16 = false;
};

struct InferOptions {
  ModelOptions model;
  OriginalBackendOptions original;
  OutputOptions output;
  std::string observation;
  std::string output_path;
};

struct EvalOptions {
  ModelOptions model;
  OriginalBackendOptions original;
  OutputOptions output;
  std::string dataset_path;
  std::vector<int64_t> traj_ids{0};
  int64_t steps = 200;
  std::optional<int64_t> action_horizon;
  std::vector<std::string> modality_keys;
  std::string index_mode = "clamp";
  std::string video_backend = "torchcodec";
  int64_t skip_timing_steps = 1;
  bool get_performance_stats = true;
  bool compare_horizons = true;
  std::string save_plot_path;
  std::string save_actions;
  std::string host = "127.0.0.1";
  int64_t port = 5555;
};

struct InspectOptions {
  ModelOptions model;
  OutputOptions output;
  std::string dataset_path;
  bool tensors = false;
  bool plan = false;
  int64_t stage = 0;
  bool memory = false;
};

struct StatsOptions {
  OutputOptions output;
  std::string dataset_path;
  std::string compare;
  std::string embodiment_tag;
  std::string modality_config_path;
  bool refresh = false;
  std::optional<double> max_difference;
};

struct DoctorOptions {
  OutputOptions output;
};

struct BenchOptions {
  ModelOptions model;
  OutputOptions output;
  std::string synthetic;
  std::optional<int64_t> views;
  std::string image_size = "480x640";
  std::optional<int64_t> text_tokens;
  int64_t batch = 1;
  int64_t iterations = 20;
  int64_t warmup = 5;
};

struct SynthOptions {
  OutputOptions output;
  std::string profile;
  std::string output_path;
  uint64_t seed = 42;
};

void declare_flags(FlagList& flags, InferOptions& options);
void declare_flags(FlagList& flags, EvalOptions& options);
void declare_flags(FlagList& flags, InspectOptions& options);
void declare_flags(FlagList& flags, StatsOptions& options);
void declare_flags(FlagList& flags, DoctorOptions& options);
void declare_flags(FlagList& flags, BenchOptions& options);
void declare_flags(FlagList& flags, SynthOptions& options);

}  // namespace sinew::cli
