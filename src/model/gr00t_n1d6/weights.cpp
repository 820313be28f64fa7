#include "model/gr00t_n1d6/weights.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace sinew::model::gr00t_n1d6 {
namespace {

using ops::Builder;
using ops::Value;

constexpr std::string_view kVision = "backbone.model.vision_model.vision_model.";
constexpr std::string_view kLanguage = "backbone.model.language_model.";
constexpr std::string_view kProjector = "backbone.model.mlp1.";
constexpr std::string_view kActionHead = "action_head.";
constexpr std::string_view kPoolingHead = "head.";            // below kVision
constexpr std::string_view kLanguageHead = "lm_head.weight";  // below kLanguage
constexpr int64_t kTimeFeatures = 256;  // of the DiT's timestep sinusoid, whatever the width

// Declares tensors below one prefix.
class Declare {
 public:
  Declare(Builder& b, std::string prefix) : b_(b), prefix_(std::move(prefix)) {}

  Value operator()(std::string_view name, const Shape& shape) {
    return b_.weight(prefix_ + std::string(name), shape);
  }

  // A per-embodiment tensor [embodiments, ...]: the slice of one.
  Value slice(std::string_view name, int64_t embodiments, int64_t id,
              std::initializer_list<int64_t> extents) {
    std::vector<int64_t> stacked{embodiments};
    stacked.insert(stacked.end(), extents.begin(), extents.end());
    const Value all = (*this)(name, Shape(stacked));
    return b_.reshape(b_.slice_rows(all, id, 1), Shape(extents));
  }

 private:
  Builder& b_;
  std::string prefix_;
};

VitBlockWeights declare_vit_block(Builder& b, int64_t layer, const VisionDims& v) {
  Declare t(b, std::string(kVision) + "encoder.layers." + std::to_string(layer) + ".");
  const int64_t d = v.width;
  return {.norm1_w = t("layer_norm1.weight", {d}),
          .norm1_b = t("layer_norm1.bias", {d}),
          .q_w = t("self_attn.q_proj.weight", {d, d}),
          .q_b = t("self_attn.q_proj.bias", {d}),
          .k_w = t("self_attn.k_proj.weight", {d, d}),
          .k_b = t("self_attn.k_proj.bias", {d}),
          .v_w = t("self_attn.v_proj.weight", {d, d}),
          .v_b = t("self_attn.v_proj.bias", {d}),
          .out_w = t("self_attn.out_proj.weight", {d, d}),
          .out_b = t("self_attn.out_proj.bias", {d}),
          .norm2_w = t("layer_norm2.weight", {d}),
          .norm2_b = t("layer_norm2.bias", {d}),
          .up_w = t("mlp.fc1.weight", {v.ffn, d}),
          .up_b = t("mlp.fc1.bias", {v.ffn}),
          .down_w = t("mlp.fc2.weight", {d, v.ffn}),
          .down_b = t("mlp.fc2.bias", {d})};
}

VisionWeights declare_vision(Builder& b, const VisionDims& v) {
  Declare t(b, std::string(kVision));
  VisionWeights w;
  w.patch_w = t("embeddings.patch_embedding.weight", {v.width, 3 * v.patch * v.patch});
  w.patch_b = t("embeddings.patch_embedding.bias", {v.width});
  w.positions = t("embeddings.position_embedding.weight", {v.positions, v.width});
  for (int64_t layer = 0; layer < v.layers; ++layer) {
    w.blocks.push_back(declare_vit_block(b, layer, v));
  }
  w.post_norm_w = t("post_layernorm.weight", {v.width});
  w.post_norm_b = t("post_layernorm.bias", {v.width});
  return w;
}

VisionProjectorWeights declare_projector(Builder& b, const Config& c) {
  Declare t(b, std::string(kProjector));
  const int64_t shuffled = 4 * c.vision.width;
  const int64_t l = c.language.width;
  return {.norm_w = t("0.weight", {shuffled}),
          .norm_b = t("0.bias", {shuffled}),
          .up_w = t("1.weight", {l, shuffled}),
          .up_b = t("1.bias", {l}),
          .out_w = t("3.weight", {l, l}),
          .out_b = t("3.bias", {l})};
}

LanguageWeights declare_language(Builder& b, const LanguageDims& l) {
  Declare t(b, std::string(kLanguage) + "model.");
  LanguageWeights w;
  w.embedding = t("embed_tokens.weight", {l.vocabulary, l.width});
  const int64_t q = l.heads * l.head_dim;
  const int64_t kv = l.kv_heads * l.head_dim;
  for (int64_t layer = 0; layer < l.layers; ++layer) {
    Declare at(b, std::string(kLanguage) + "model.layers." + std::to_string(layer) + ".");
    w.blocks.push_back({.input_norm = at("input_layernorm.weight", {l.width}),
                        .q_w = at("self_attn.q_proj.weight", {q, l.width}),
                        .k_w = at("self_attn.k_proj.weight", {kv, l.width}),
                        .v_w = at("self_attn.v_proj.weight", {kv, l.width}),
                        .q_norm = at("self_attn.q_norm.weight", {l.head_dim}),
                        .k_norm = at("self_attn.k_norm.weight", {l.head_dim}),
                        .out_w = at("self_attn.o_proj.weight", {l.width, q}),
                        .post_norm = at("post_attention_layernorm.weight", {l.width}),
                        .gate_w = at("mlp.gate_proj.weight", {l.ffn, l.width}),
                        .up_w = at("mlp.up_proj.weight", {l.ffn, l.width}),
                        .down_w = at("mlp.down_proj.weight", {l.width, l.ffn})});
  }
  w.norm = t("norm.weight", {l.width});
  return w;
}

DitBlockWeights declare_dit_block(Builder& b, int64_t index, const Config& c) {
  Declare t(b,
            std::string(kActionHead) + "model.transformer_blocks." + std::to_string(index) + ".");
  const int64_t d = c.dit.width();
  const int64_t source = index % 2 == 0 ? c.language.width : d;  // cross blocks project the context
  return {.q_w = t("attn1.to_q.weight", {d, d}),
          .q_b = t("attn1.to_q.bias", {d}),
          .k_w = t("attn1.to_k.weight", {d, source}),
          .k_b = t("attn1.to_k.bias", {d}),
          .v_w = t("attn1.to_v.weight", {d, source}),
          .v_b = t("attn1.to_v.bias", {d}),
          .out_w = t("attn1.to_out.0.weight", {d, d}),
          .out_b = t("attn1.to_out.0.bias", {d}),
          .up_w = t("ff.net.0.proj.weight", {c.dit.ffn, d}),
          .up_b = t("ff.net.0.proj.bias", {c.dit.ffn}),
          .down_w = t("ff.net.2.weight", {d, c.dit.ffn}),
          .down_b = t("ff.net.2.bias", {d})};
}

DitWeights declare_dit(Builder& b, const Config& c) {
  Declare t(b, std::string(kActionHead) + "model.");
  const int64_t d = c.dit.width();
  DitWeights w;
  w.time = {.in_w = t("timestep_encoder.timestep_embedder.linear_1.weight", {d, kTimeFeatures}),
            .in_b = t("timestep_encoder.timestep_embedder.linear_1.bias", {d}),
            .out_w = t("timestep_encoder.timestep_embedder.linear_2.weight", {d, d}),
            .out_b = t("timestep_encoder.timestep_embedder.linear_2.bias", {d})};
  for (int64_t i = 0; i < c.dit.layers; ++i) {
    const std::string norm = "transformer_blocks." + std::to_string(i) + ".norm1.linear.";
    w.modulation_w.push_back(t(norm + "weight", {2 * d, d}));
    w.modulation_b.push_back(t(norm + "bias", {2 * d}));
    w.blocks.push_back(declare_dit_block(b, i, c));
  }
  w.proj_out_1_w = t("proj_out_1.weight", {2 * d, d});
  w.proj_out_1_b = t("proj_out_1.bias", {2 * d});
  w.proj_out_2_w = t("proj_out_2.weight", {c.dit.output_dim, d});
  w.proj_out_2_b = t("proj_out_2.bias", {c.dit.output_dim});
  return w;
}

void declare_encoders(Builder& b, const Config& c, int64_t id, Weights& w) {
  Declare t(b, std::string(kActionHead));
  const int64_t n = c.max_embodiments;
  const int64_t d = c.dit.width();
  w.state_encoder = {
      .hidden_w = t.slice("state_encoder.layer1.W", n, id, {c.max_state_dim, c.hidden}),
      .hidden_b = t.slice("state_encoder.layer1.b", n, id, {c.hidden}),
      .out_w = t.slice("state_encoder.layer2.W", n, id, {c.hidden, d}),
      .out_b = t.slice("state_encoder.layer2.b", n, id, {d})};
  w.action_encoder = {.in_w = t.slice("action_encoder.W1.W", n, id, {c.max_action_dim, d}),
                      .in_b = t.slice("action_encoder.W1.b", n, id, {d}),
                      .mix_w = t.slice("action_encoder.W2.W", n, id, {2 * d, d}),
                      .mix_b = t.slice("action_encoder.W2.b", n, id, {d}),
                      .out_w = t.slice("action_encoder.W3.W", n, id, {d, d}),
                      .out_b = t.slice("action_encoder.W3.b", n, id, {d})};
  w.action_decoder = {
      .hidden_w = t.slice("action_decoder.layer1.W", n, id, {c.dit.output_dim, c.hidden}),
      .hidden_b = t.slice("action_decoder.layer1.b", n, id, {c.hidden}),
      .out_w = t.slice("action_decoder.layer2.W", n, id, {c.hidden, c.max_action_dim}),
      .out_b = t.slice("action_decoder.layer2.b", n, id, {c.max_action_dim})};
  if (c.add_position_embedding) {
    w.action_positions = t("position_embedding.weight", {c.max_seq_len, d});
  }
  if (c.use_vlln) {
    w.vl_norm_w = t("vlln.weight", {c.language.width});
    w.vl_norm_b = t("vlln.bias", {c.language.width});
  }
}

// Of checkpoints, not of the network: SigLIP2's attention pooling and the language model's output
// layer.
void declare_unused(Builder& b, const Config& c) {
  Declare t(b, std::string(kVision) + std::string(kPoolingHead));
  const int64_t d = c.vision.width;
  t("probe", {1, 1, d});
  t("attention.in_proj_weight", {3 * d, d});
  t("attention.in_proj_bias", {3 * d});
  t("attention.out_proj.weight", {d, d});
  t("attention.out_proj.bias", {d});
  t("layernorm.weight", {d});
  t("layernorm.bias", {d});
  t("mlp.fc1.weight", {c.vision.ffn, d});
  t("mlp.fc1.bias", {c.vision.ffn});
  t("mlp.fc2.weight", {d, c.vision.ffn});
  t("mlp.fc2.bias", {d});
  Declare(b, std::string(kLanguage))(kLanguageHead, {c.language.vocabulary, c.language.width});
}

}  // namespace

Weights declare_weights(Builder& b, const Config& config, int64_t embodiment_id) {
  Weights w;
  w.vision = declare_vision(b, config.vision);
  w.projector = declare_projector(b, config);
  w.language = declare_language(b, config.language);
  declare_encoders(b, config, embodiment_id, w);
  w.dit = declare_dit(b, config);
  return w;
}

std::vector<TensorShape> checkpoint_tensors(const Config& config) {
  Builder b;
  declare_weights(b, config, /*embodiment_id=*/0);
  declare_unused(b, config);
  std::vector<TensorShape> tensors;
  for (ops::ValueInfo& info : b.take().values) {
    if (info.kind == ops::ValueKind::kWeight) {
      tensors.push_back({std::move(info.name), info.shape});
    }
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorShape& x, const TensorShape& y) { return x.name < y.name; });
  return tensors;
}

bool is_known_unused(std::string_view name, const Config& config) {
  const std::string head = std::string(kVision) + std::string(kPoolingHead);
  const std::string layers = std::string(kLanguage) + "model.layers.";
  if (name.starts_with(head) || name == std::string(kLanguage) + std::string(kLanguageHead) ||
      name == std::string(kActionHead) + "mask_token") {
    return true;
  }
  if (!name.starts_with(layers)) {
    return false;
  }
  const std::string_view rest = name.substr(layers.size());
  int64_t layer = -1;
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  return parsed.ec == std::errc() && layer >= config.language.layers;
}

}  // namespace sinew::model::gr00t_n1d6
