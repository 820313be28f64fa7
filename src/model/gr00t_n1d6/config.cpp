#include "model/gr00t_n1d6/config.h"

#include "base/error.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace sinew::model::gr00t_n1d6 {
namespace {

// A size that no real network reaches, so that products of two never overflow.
constexpr int64_t kMaxExtent = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxDenoisingSteps = 1000;
// DiT blocks in one recording, which holds every step: 1000 of them at N1.6's 32 layers.
constexpr int64_t kMaxRecordedBlocks = int64_t{1} << 15;

// Reads keys of one JSON object and keeps the record of what was read.
class KeyReader {
 public:
  KeyReader(io::JsonView object, io::Origin origin, std::string prefix, io::ResolvedConfig& record)
      : object_(std::move(object)), origin_(origin), prefix_(std::move(prefix)), record_(record) {}

  // A positive integer that must be there.
  Status required(const char* key, int64_t& value, int64_t high = kMaxExtent) {
    SINEW_ASSIGN(const io::JsonView found, object_.at(key));
    SINEW_ASSIGN(value, found.as_int(1, high));
    record_.add(prefix_ + key, std::to_string(value), origin_);
    return {};
  }

  // The same, or the value that is there already as the default.
  Status optional(const char* key, int64_t& value, const char* why_default,
                  int64_t high = kMaxExtent) {
    if (object_.has(key)) {
      return required(key, value, high);
    }
    record_.add(prefix_ + key, std::to_string(value), io::Origin::kDefault, why_default);
    return {};
  }

  Status optional(const char* key, double& value, const char* why_default) {
    if (!object_.has(key)) {
      record_.add(prefix_ + key, fmt::format("{:g}", value), io::Origin::kDefault, why_default);
      return {};
    }
    SINEW_ASSIGN(const io::JsonView found, object_.at(key));
    SINEW_ASSIGN(value, found.as_number());
    if (!(value > 0) || value > std::numeric_limits<float>::max()) {
      return found.error_here(fmt::format("expected a positive number, found {}", value));
    }
    record_.add(prefix_ + key, fmt::format("{:g}", value), origin_);
    return {};
  }

  Status optional(const char* key, bool& value, const char* why_default) {
    if (!object_.has(key)) {
      record_.add(prefix_ + key, value ? "true" : "false", io::Origin::kDefault, why_default);
      return {};
    }
    SINEW_ASSIGN(const io::JsonView found, object_.at(key));
    SINEW_ASSIGN(value, found.as_bool());
    record_.add(prefix_ + key, value ? "true" : "false", origin_);
    return {};
  }

  // A boolean that N1.6 fixes: absent is fine, another value is refused.
  Status fixed(const char* key, bool expected, const char* meaning) {
    if (!object_.has(key)) {
      return {};
    }
    SINEW_ASSIGN(const io::JsonView found, object_.at(key));
    SINEW_ASSIGN(const bool value, found.as_bool());
    if (value != expected) {
      return found.error_here(fmt::format(
          "expected {}, found {}: {} is not part of the N1.6 network", expected, value, meaning));
    }
    return {};
  }

  Status fixed(const char* key, std::string_view expected) {
    if (!object_.has(key)) {
      return {};
    }
    SINEW_ASSIGN(const io::JsonView found, object_.at(key));
    SINEW_ASSIGN(const std::string value, found.as_string());
    if (value != expected) {
      return found.error_here(fmt::format("expected \"{}\", found \"{}\"", expected, value));
    }
    return {};
  }

  Status must_be_null(const char* key) {
    if (!object_.has(key)) {
      return {};
    }
    SINEW_ASSIGN(const io::JsonView found, object_.at(key));
    return found.error_here("expected null: it is not part of the N1.6 network");
  }

 private:
  io::JsonView object_;
  io::Origin origin_;
  std::string prefix_;
  io::ResolvedConfig& record_;
};

constexpr const char* kClassDefault = "default of the model class";
constexpr const char* kN16 =
    "N1.6; the VLM's config is not at hand, so the tensors' shapes check it";

Status read_vision(const io::JsonView& vlm, Config& config) {
  SINEW_ASSIGN(const io::JsonView object, vlm.at("vision_config"));
  KeyReader keys(object, io::Origin::kVlmConfig, "vision.", config.resolved);
  SINEW_TRY(keys.required("hidden_size", config.vision.width));
  SINEW_TRY(keys.required("intermediate_size", config.vision.ffn));
  SINEW_TRY(keys.required("num_hidden_layers", config.vision.layers, kMaxLayers));
  SINEW_TRY(keys.required("num_attention_heads", config.vision.heads));
  SINEW_TRY(keys.optional("patch_size", config.vision.patch, "SigLIP2 so400m/14", 1024));
  SINEW_TRY(keys.optional("num_patches", config.vision.positions, "a 16 x 16 grid"));
  SINEW_TRY(keys.optional("layer_norm_eps", config.vision.epsilon, "SigLIP2"));
  SINEW_TRY(keys.fixed("hidden_act", "gelu_pytorch_tanh"));
  SINEW_TRY(keys.fixed("use_rope", false, "rotary embedding in the vision tower"));
  SINEW_TRY(keys.fixed("use_windows_attn", false, "windowed attention"));
  const int64_t side = 1024;
  int64_t root = 0;
  while (root < side && root * root < config.vision.positions) {
    ++root;
  }
  if (root * root != config.vision.positions) {
    return object.error_here(
        fmt::format("num_patches: expected a square number, found {}", config.vision.positions));
  }
  return {};
}

Status read_language(const io::JsonView& vlm, Config& config) {
  SINEW_ASSIGN(const io::JsonView object, vlm.at("text_config"));
  KeyReader keys(object, io::Origin::kVlmConfig, "text.", config.resolved);
  SINEW_TRY(keys.required("hidden_size", config.language.width));
  SINEW_TRY(keys.required("intermediate_size", config.language.ffn));
  SINEW_TRY(keys.required("num_attention_heads", config.language.heads));
  SINEW_TRY(keys.required("num_key_value_heads", config.language.kv_heads));
  SINEW_TRY(keys.optional("head_dim", config.language.head_dim, "Qwen3"));
  SINEW_TRY(keys.optional("rms_norm_eps", config.language.epsilon, "Qwen3"));
  SINEW_TRY(keys.optional("rope_theta", config.language.rope_theta, "Qwen3"));
  SINEW_TRY(keys.optional("max_position_embeddings", config.language.max_positions, "Qwen3"));
  SINEW_TRY(keys.required("vocab_size", config.language.vocabulary));
  SINEW_TRY(keys.fixed("attention_bias", false, "a bias in attention"));
  SINEW_TRY(keys.fixed("use_sliding_window", false, "sliding-window attention"));
  SINEW_TRY(keys.must_be_null("rope_scaling"));
  SINEW_TRY(keys.fixed("hidden_act", "silu"));
  return {};
}

Status read_vlm(const io::VlmFolder& vlm, Config& config) {
  if (!vlm.config) {
    config.resolved.add("vision",
                        fmt::format("{} layers of {}", config.vision.layers, config.vision.width),
                        io::Origin::kDefault, kN16);
    config.resolved.add(
        "text", fmt::format("{} layers of {}", config.language.layers, config.language.width),
        io::Origin::kDefault, kN16);
    return {};
  }
  const io::JsonView view(*vlm.config, vlm.config_where);
  SINEW_TRY(read_vision(view, config));
  SINEW_TRY(read_language(view, config));
  KeyReader keys(view, io::Origin::kVlmConfig, "", config.resolved);
  int64_t image_token = 0;
  if (view.has("image_token_index")) {
    SINEW_TRY(keys.required("image_token_index", image_token));
    config.image_token_id = image_token;
  }
  SINEW_TRY(keys.fixed("use_pixel_shuffle", true, "a projector without pixel shuffle"));
  if (view.has("select_layer")) {
    SINEW_ASSIGN(const io::JsonView layer, view.at("select_layer"));
    SINEW_TRY(layer.as_int(-1, -1).ok() ? Status()
                                        : layer.error_here("expected -1, the tower's last layer"));
  }
  if (view.has("downsample_ratio")) {
    SINEW_ASSIGN(const io::JsonView ratio, view.at("downsample_ratio"));
    SINEW_ASSIGN(const double value, ratio.as_number());
    SINEW_TRY(value == 0.5 ? Status()
                           : ratio.error_here(fmt::format("expected 0.5, found {:g}", value)));
  }
  return {};
}

Status read_dit(const io::JsonView& root, Config& config) {
  SINEW_ASSIGN(const io::JsonView object, root.at("diffusion_model_cfg"));
  KeyReader keys(object, io::Origin::kConfigJson, "diffusion_model_cfg.", config.resolved);
  SINEW_TRY(keys.required("num_layers", config.dit.layers, kMaxLayers));
  SINEW_TRY(keys.required("num_attention_heads", config.dit.heads));
  SINEW_TRY(keys.required("attention_head_dim", config.dit.head_dim));
  SINEW_TRY(keys.required("output_dim", config.dit.output_dim));
  SINEW_TRY(keys.optional("norm_eps", config.dit.epsilon, kClassDefault));
  SINEW_TRY(keys.fixed("norm_type", "ada_norm"));
  SINEW_TRY(keys.fixed("activation_fn", "gelu-approximate"));
  SINEW_TRY(keys.fixed("attention_bias", true, "a DiT without attention biases"));
  SINEW_TRY(keys.fixed("norm_elementwise_affine", false, "an affine DiT norm"));
  SINEW_TRY(keys.fixed("interleave_self_attention", true, "a DiT without self-attention blocks"));
  SINEW_TRY(keys.must_be_null("positional_embeddings"));
  return {};
}

Status read_policy(const io::JsonView& root, Config& config) {
  KeyReader keys(root, io::Origin::kConfigJson, "", config.resolved);
  SINEW_TRY(keys.fixed("model_type", "Gr00tN1d6"));
  SINEW_TRY(keys.fixed("backbone_model_type", "eagle"));
  SINEW_TRY(keys.fixed("model_name", "nvidia/Eagle-Block2A-2B-v2"));
  SINEW_TRY(keys.fixed("reproject_vision", false, "reprojected vision"));
  SINEW_TRY(keys.required("select_layer", config.language.layers, kMaxLayers));
  int64_t embedding_dim = 0;
  SINEW_TRY(keys.required("backbone_embedding_dim", embedding_dim));
  SINEW_TRY(keys.required("max_state_dim", config.max_state_dim));
  SINEW_TRY(keys.required("max_action_dim", config.max_action_dim));
  SINEW_TRY(keys.required("action_horizon", config.checkpoint_horizon));
  SINEW_TRY(keys.required("hidden_size", config.hidden));
  int64_t input_dim = 0;
  SINEW_TRY(keys.required("input_embedding_dim", input_dim));
  SINEW_TRY(keys.required("max_seq_len", config.max_seq_len));
  SINEW_TRY(keys.required("max_num_embodiments", config.max_embodiments));
  SINEW_TRY(keys.optional("num_timestep_buckets", config.timestep_buckets, kClassDefault));
  SINEW_TRY(keys.optional("attend_text_every_n_blocks", config.attend_text_every_n_blocks,
                          kClassDefault, kMaxLayers));
  SINEW_TRY(keys.optional("add_pos_embed", config.add_position_embedding, kClassDefault));
  SINEW_TRY(keys.optional("use_vlln", config.use_vlln, kClassDefault));
  SINEW_TRY(keys.optional("use_alternate_vl_dit", config.use_alternate_vl_dit, kClassDefault));
  SINEW_TRY(keys.optional("num_inference_timesteps", config.denoising_steps, kClassDefault,
                          kMaxDenoisingSteps));
  SINEW_TRY(read_dit(root, config));
  if (input_dim != config.dit.width()) {
    return root.error_here(
        fmt::format("input_embedding_dim is {}, but the DiT has {} heads of {} = {}", input_dim,
                    config.dit.heads, config.dit.head_dim, config.dit.width()));
  }
  if (config.hidden != config.dit.output_dim) {
    return root.error_here(
        fmt::format("hidden_size is {}, but diffusion_model_cfg.output_dim is {}: the action "
                    "decoder reads the DiT's output",
                    config.hidden, config.dit.output_dim));
  }
  if (embedding_dim != config.language.width) {
    return root.error_here(
        fmt::format("backbone_embedding_dim is {}, but the language model is {} wide: is this the "
                    "VLM config of another model?",
                    embedding_dim, config.language.width));
  }
  return {};
}

Status check_attention_shapes(const Config& config) {
  if (config.vision.width % config.vision.heads != 0) {
    return bad_input("vision width {} is not a multiple of its {} heads", config.vision.width,
                     config.vision.heads);
  }
  if (config.language.heads % config.language.kv_heads != 0 || config.language.head_dim % 2 != 0) {
    return bad_input(
        "language model: {} query heads over {} key-value heads of {} cannot be paired",
        config.language.heads, config.language.kv_heads, config.language.head_dim);
  }
  if (config.dit.width() % 2 != 0) {
    return bad_input("DiT width {} is odd", config.dit.width());
  }
  return {};
}

// --horizon: which number of action tokens runs, and what is said when the sources disagree.
Status resolve_horizon(const NetworkOptions& options, Config& config) {
  io::Origin origin = io::Origin::kConfigJson;
  config.horizon = config.checkpoint_horizon;
  if (options.horizon == "modality") {
    config.horizon = options.action_steps;
    origin = io::Origin::kProcessorConfig;
  } else if (options.horizon != "checkpoint") {
    const char* end = options.horizon.data() + options.horizon.size();
    const auto parsed = std::from_chars(options.horizon.data(), end, config.horizon);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
      return usage_error("--horizon: expected checkpoint, modality or a number, found \"{}\"",
                         options.horizon);
    }
    origin = io::Origin::kFlag;
  }
  const Code code = origin == io::Origin::kFlag ? Code::kUsage : Code::kBadInput;
  if (config.horizon < options.action_steps) {
    return error(code,
                 "horizon {}: fewer action tokens than the {} steps of the embodiment's action "
                 "delta_indices",
                 config.horizon, options.action_steps);
  }
  if (config.horizon > config.max_seq_len) {
    return error(code, "horizon {}: the checkpoint has {} action positions (max_seq_len)",
                 config.horizon, config.max_seq_len);
  }
  std::string note;
  if (config.checkpoint_horizon != options.action_steps) {
    note = fmt::format(
        "config.json action_horizon {}, action delta_indices {}: running {} action tokens, {} of "
        "them used "
        "(--horizon checkpoint|modality|N chooses)",
        config.checkpoint_horizon, options.action_steps, config.horizon, options.action_steps);
    config.resolved.notices.push_back("horizon: " + note);
  }
  config.resolved.add("horizon", std::to_string(config.horizon), origin, note);
  return {};
}

Status resolve_options(const NetworkOptions& options, Config& config) {
  if (options.denoising_steps) {
    if (*options.denoising_steps < 1 || *options.denoising_steps > kMaxDenoisingSteps) {
      return usage_error("--denoising-steps: expected 1 to {}, found {}", kMaxDenoisingSteps,
                         *options.denoising_steps);
    }
    config.denoising_steps = *options.denoising_steps;
    config.resolved.add("denoising_steps", std::to_string(config.denoising_steps),
                        io::Origin::kFlag);
  }
  if (config.denoising_steps * config.dit.layers > kMaxRecordedBlocks) {
    return error(options.denoising_steps ? Code::kUsage : Code::kBadInput,
                 "{} denoising steps of {} DiT layers: expected at most {} blocks together; take "
                 "fewer steps (--denoising-steps)",
                 config.denoising_steps, config.dit.layers, kMaxRecordedBlocks);
  }
  const std::string& rope = options.rope_inv_freq;
  if (rope != "auto" && rope != "fp32" && rope != "bf16") {
    return usage_error("--rope-inv-freq: expected auto, fp32 or bf16, found \"{}\"", rope);
  }
  const bool is_rounded = rope == "bf16" || (rope == "auto" && options.is_bf16_run);
  config.rope_rounding = is_rounded ? ops::FrequencyRounding::kBf16 : ops::FrequencyRounding::kFp32;
  config.resolved.add("rope_inv_freq", is_rounded ? "bf16" : "fp32",
                      rope == "auto" ? io::Origin::kDefault : io::Origin::kFlag,
                      rope == "auto" ? "follows the precision of the run" : "");
  return {};
}

// The one width that no configuration file states.
Status read_ffn_from_tensor(const io::Checkpoint& checkpoint, Config& config) {
  constexpr const char* kName = "action_head.model.transformer_blocks.0.ff.net.0.proj.weight";
  const io::TensorEntry* tensor = checkpoint.find(kName);
  if (tensor == nullptr) {
    return not_found("{}: tensor {} is missing: the DiT's feed-forward width is its first extent",
                     checkpoint.path().string(), kName);
  }
  if (tensor->view.shape.rank() != 2 || tensor->view.shape[0] < 1 ||
      tensor->view.shape[0] > kMaxExtent) {
    return bad_input("{}: tensor {}: expected [ffn, {}], found {}", checkpoint.path().string(),
                     kName, config.dit.width(), tensor->view.shape.text());
  }
  config.dit.ffn = tensor->view.shape[0];
  config.resolved.add("diffusion_model_cfg.ffn", std::to_string(config.dit.ffn),
                      io::Origin::kTensor, kName);
  return {};
}

}  // namespace

Result<Config> resolve_config(const io::Checkpoint& checkpoint, const io::VlmFolder& vlm,
                              const NetworkOptions& options) {
  Config config;
  SINEW_TRY(read_vlm(vlm, config));
  SINEW_TRY(read_policy(checkpoint.config(), config));
  SINEW_TRY(check_attention_shapes(config));
  SINEW_TRY(read_ffn_from_tensor(checkpoint, config));
  SINEW_TRY(resolve_horizon(options, config));
  SINEW_TRY(resolve_options(options, config));
  return config;
}

}  // namespace sinew::model::gr00t_n1d6
