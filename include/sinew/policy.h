// The engine's front door: a checkpoint folder in, actions out.
//
//   auto policy = sinew::Policy::load({.model_path = "checkpoint-10000"});
//   sinew::ActionChunk chunk;
//   sinew::Status status = policy.value().act(observation, chunk);
#pragma once

#include "sinew/action_chunk.h"
#include "sinew/observation.h"
#include "sinew/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sinew {

// Each field is a command-line flag of the same name (design of the flags: docs/cli.md).
struct PolicyOptions {
  std::string model_path = {};
  std::string vlm_path = {};        // empty: searched beside the checkpoint
  std::string processor_path = {};  // empty: in the checkpoint
  std::string embodiment_tag = {};  // empty: the only one with statistics
  // cpu | cuda[:i] | auto
  std::string device = "auto";
  // fp32 | bf16 | ... | auto: what the device runs by default
  std::string precision = "auto";
  // checkpoint | modality | a number of action tokens
  std::string horizon = "checkpoint";
  std::optional<int64_t> denoising_steps = {};  // empty: the checkpoint's
  // fp32 | bf16 | auto: exact in fp32 runs, rounded in bf16 runs
  std::string rope_inv_freq = "auto";
  uint64_t seed = 42;
  int threads = 0;  // 0: physical cores
  // fused | leaf: composites whole where the device has a kernel for them, or op by op. auto:
  // fused.
  std::string lowering = "auto";
  // Of the GPU's free memory, how much may be taken.
  double gpu_mem_fraction = 0.95;
  // on | off: a run on a GPU is one captured graph, or every kernel is launched and checked by
  // itself
  std::string cuda_graph = "on";
  // Folder for one safetensors file a call with every named site; empty: off.
  std::string dump_sites = {};
};

// One row of the resolved configuration: a value and where it came from.
struct ConfigRow {
  std::string key, value, origin, note;
};

// Names and extents of one input or output group.
struct GroupShape {
  std::string key;
  int64_t steps = 0;
  int64_t dims = 0;
};

// What a loaded policy expects and returns.
struct PolicyInfo {
  std::string family;  // "gr00t_n1d6"
  std::string embodiment_tag = {};
  std::vector<std::string> cameras;  // in model order
  std::vector<int64_t> video_deltas, state_deltas, action_deltas;
  std::vector<GroupShape> state, action;
  std::string language_key;
  int64_t horizon = 0;             // action tokens of the network
  int64_t checkpoint_horizon = 0;  // those of config.json (action_horizon)
  int64_t action_steps = 0;        // rows of a decoded chunk: those of action_deltas
  int64_t max_action_dim = 0;
  int64_t denoising_steps = 0;
  std::string device, precision;
  std::vector<ConfigRow> config;     // every resolved value
  std::vector<std::string> notices;  // mismatches and what was done about them
  std::vector<std::string>
      warnings;  // what is probably wrong, and that the policy runs with all the same
};

// The sizes of one prepared observation as the network sees it.
struct InputShape {
  int64_t views = 0;  // frames
  int64_t image_height = 0, image_width = 0;
  int64_t tokens = 0;        // of the prompt, image tokens included
  int64_t image_tokens = 0;  // of all views
};

// Preprocessed inputs of one observation, independent of any device. Move-only; reusable for a
// later prepare.
class PreparedInputs {
 public:
  PreparedInputs();
  PreparedInputs(PreparedInputs&&) noexcept;
  PreparedInputs& operator=(PreparedInputs&&) noexcept;
  ~PreparedInputs();

  // All 0 before the first successful prepare.
  InputShape shape() const;

  struct Impl;

 private:
  friend class Policy;
  std::unique_ptr<Impl> impl_;
};

// A loaded policy on one device. prepare() is thread-safe; run() and act() are not: one caller at a
// time.
class Policy {
 public:
  // Loads, checks and reports everything before the first call: kBadInput or kNotFound for a
  // checkpoint that is not right, kUsage for contradictory options, kUnsupported or kDevice for a
  // device that cannot.
  static Result<Policy> load(const PolicyOptions& options);

  Policy(Policy&&) noexcept;
  Policy& operator=(Policy&&) noexcept;
  ~Policy();

  const PolicyInfo& info() const;

  // Bytes held by the device's regions; all 0 before warm_up() or the first call.
  struct Memory {
    size_t weight_bytes = 0, arena_bytes = 0, workspace_bytes = 0, staging_bytes = 0;
  };

  Memory memory() const;

  // Readies everything for the shapes of the last call, or of plausible frames before the first
  // one: weights converted and packed, memory planned and held. What follows costs what every call
  // costs.
  Status warm_up();

  // Host work only, on the calling thread: frames, text, state. Bad observations fail here with the
  // caller's own key names.
  Status prepare(const Observation& observation, PreparedInputs& inputs) const;

  // Whether the following runs note the time of each stage of the network. A CPU does so for
  // nothing and starts with it; on a GPU it takes some microseconds and is off.
  void set_stage_timing(bool is_timed);

  // The network and the decoding. Non-finite outputs are an error (kInternal), never returned.
  Status run(PreparedInputs& inputs, ActionChunk& chunk);

  // prepare and run. Equal to the two calls bit for bit, but frames are spread over the policy's
  // threads.
  Status act(const Observation& observation, ActionChunk& chunk);

  // A batch: samples of one call. Prompts may differ; the site dumps of a batch are left-padded as
  // the original pads. Observations and chunks have equal sizes.
  Status act_batch(std::span<const Observation> observations, std::span<ActionChunk> chunks);

  // What one stage of the network ("vision", "language", "action", "denoise<i>") has to do in one
  // call, counted from the recorded plan.
  struct StageCost {
    std::string stage;
    int64_t flop = 0;
    int64_t weight_bytes = 0;  // parameters read
  };

  // Of every stage in order, for the shapes of the last call or of a default observation.
  std::vector<StageCost> stage_costs() const;

  // What the network and its memory look like, for `sinew inspect`: the recorded plan as text for
  // `stage` 0 to 4 (recorded, folded, precision, selected, placed), for the shapes of the last call
  // or of a default observation.
  Result<std::string> plan_text(int stage);

  struct Impl;

 private:
  explicit Policy(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sinew
