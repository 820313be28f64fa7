// The numbers of a GR00T N1.6 network, resolved once from config.json, the VLM's config and the
// tensors' shapes (spec/checkpoint.md sections 4, 5 and 7). Equality of two means: the same
// network.
#pragma once

#include "io/checkpoint.h"
#include "io/resolved.h"
#include "model/network.h"
#include "ops/op.h"

#include "sinew/result.h"

#include <cstdint>
#include <optional>
#include <string>

namespace sinew::model::gr00t_n1d6 {

struct VisionDims {
  int64_t layers = 27;
  int64_t width = 1152;  // d
  int64_t ffn = 4304;
  int64_t heads = 16;
  int64_t patch = 14;       // pixels a side
  int64_t positions = 256;  // rows of the position table, a square grid
  double epsilon = 1e-6;
};

struct LanguageDims {
  int64_t layers = 16;  // select_layer: the checkpoint may hold more
  int64_t width = 2048;
  int64_t ffn = 6144;
  int64_t heads = 16;
  int64_t kv_heads = 8;
  int64_t head_dim = 128;
  double epsilon = 1e-6;
  double rope_theta = 1e6;
  int64_t vocabulary = 151680;    // rows of the embedding table
  int64_t max_positions = 40960;  // tokens of a prompt
};

struct DitDims {
  int64_t layers = 32;
  int64_t heads = 32;
  int64_t head_dim = 48;
  int64_t ffn = 6144;         // from the tensors
  int64_t output_dim = 1024;  // width of proj_out_2, equal to hidden
  double epsilon = 1e-5;      // norm1, norm3

  int64_t width() const { return heads * head_dim; }
};

struct Config {
  VisionDims vision;
  LanguageDims language;
  DitDims dit;
  int64_t max_state_dim = 0;
  int64_t max_action_dim = 0;
  int64_t hidden = 0;  // of the per-embodiment MLPs
  int64_t max_embodiments = 0;
  int64_t max_seq_len = 0;         // rows of the action position table
  int64_t checkpoint_horizon = 0;  // action_horizon of config.json
  int64_t horizon = 0;             // action tokens that will run
  int64_t denoising_steps = 4;
  int64_t timestep_buckets = 1000;
  int64_t attend_text_every_n_blocks = 2;
  bool add_position_embedding = true;
  bool use_vlln = true;
  bool use_alternate_vl_dit = true;
  std::optional<int64_t>
      image_token_id;  // of the VLM's config, to be compared with the tokenizer's
  ops::FrequencyRounding rope_rounding = ops::FrequencyRounding::kFp32;

  io::ResolvedConfig resolved;
};

// Errors: a required key missing or of the wrong type, a value that N1.6 fixes and that differs
// (RoPE in the tower, windows, attention bias, sliding window, RoPE scaling, norm_type,
// reproject_vision), contradictions between keys (hidden_size != output_dim, input_embedding_dim !=
// heads x head_dim, horizon > max_seq_len, horizon < action_steps).
Result<Config> resolve_config(const io::Checkpoint& checkpoint, const io::VlmFolder& vlm,
                              const NetworkOptions& options);

}  // namespace sinew::model::gr00t_n1d6
