#include "synth/configuration.h"

#include <string>
#include <vector>

namespace sinew::synth {
namespace {

using io::Json;

constexpr int64_t kShortestImageEdge = 256;
constexpr double kCropFraction = 0.95;

Json indices(int64_t count) {
  Json list = Json::array();
  for (int64_t i = 0; i < count; ++i) {
    list.push_back(i);
  }
  return list;
}

Json modality(int64_t steps, const Json& keys, const Json& action_configs = nullptr) {
  return {{"delta_indices", indices(steps)},
          {"modality_keys", keys},
          {"sin_cos_embedding_keys", nullptr},
          {"mean_std_embedding_keys", nullptr},
          {"action_configs", action_configs}};
}

// Ranges around zero that grow with the joint, times `scale`.
Json range_statistics(int64_t dims, double scale) {
  Json mean = Json::array();
  Json deviation = Json::array();
  Json low = Json::array();
  Json high = Json::array();
  Json low_percentile = Json::array();
  Json high_percentile = Json::array();
  for (int64_t joint = 0; joint < dims; ++joint) {
    const double reach = scale * (1.0 + 0.125 * static_cast<double>(joint));
    mean.push_back(0.0);
    deviation.push_back(0.5 * reach);
    low.push_back(-reach);
    high.push_back(reach);
    low_percentile.push_back(-0.96875 * reach);
    high_percentile.push_back(0.96875 * reach);
  }
  return {{"mean", mean}, {"std", deviation},      {"min", low},
          {"max", high},  {"q01", low_percentile}, {"q99", high_percentile}};
}

// The same for each row of a relative action: the further ahead, the wider.
Json step_statistics(int64_t steps, int64_t dims) {
  Json all = Json::object();
  for (int64_t step = 0; step < steps; ++step) {
    const Json row = range_statistics(dims, 0.0625 * static_cast<double>(step + 1));
    for (const auto& [name, values] : row.items()) {
      all[name].push_back(values);
    }
  }
  return all;
}

}  // namespace

Json policy_config(const Profile& profile) {
  const model::gr00t_n1d6::Config& n = profile.network;
  return {{"model_type", "Gr00tN1d6"},
          {"architectures", {"Gr00tN1d6"}},
          {"model_name", "nvidia/Eagle-Block2A-2B-v2"},
          {"backbone_model_type", "eagle"},
          {"torch_dtype", "bfloat16"},
          {"select_layer", n.language.layers},
          {"reproject_vision", false},
          {"backbone_embedding_dim", n.language.width},
          {"max_state_dim", n.max_state_dim},
          {"max_action_dim", n.max_action_dim},
          {"action_horizon", n.checkpoint_horizon},
          {"hidden_size", n.hidden},
          {"input_embedding_dim", n.dit.width()},
          {"max_seq_len", n.max_seq_len},
          {"add_pos_embed", n.add_position_embedding},
          {"use_vlln", n.use_vlln},
          {"use_alternate_vl_dit", n.use_alternate_vl_dit},
          {"attend_text_every_n_blocks", n.attend_text_every_n_blocks},
          {"num_inference_timesteps", n.denoising_steps},
          {"num_timestep_buckets", n.timestep_buckets},
          {"max_num_embodiments", n.max_embodiments},
          {"diffusion_model_cfg",
           {{"num_layers", n.dit.layers},
            {"num_attention_heads", n.dit.heads},
            {"attention_head_dim", n.dit.head_dim},
            {"output_dim", n.dit.output_dim},
            {"norm_type", "ada_norm"},
            {"interleave_self_attention", true},
            {"positional_embeddings", nullptr}}},
          {"shortest_image_edge", kShortestImageEdge},
          {"crop_fraction", kCropFraction},
          {"use_relative_action", true}};
}

Json vlm_config(const Profile& profile) {
  const model::gr00t_n1d6::VisionDims& v = profile.network.vision;
  const model::gr00t_n1d6::LanguageDims& l = profile.network.language;
  return {{"model_type", "eagle_3_vl"},
          {"image_token_index", *profile.network.image_token_id},
          {"downsample_ratio", 0.5},
          {"use_pixel_shuffle", true},
          {"select_layer", -1},
          {"vision_config",
           {{"hidden_size", v.width},
            {"intermediate_size", v.ffn},
            {"num_hidden_layers", v.layers},
            {"num_attention_heads", v.heads},
            {"patch_size", v.patch},
            {"num_patches", v.positions},
            {"layer_norm_eps", v.epsilon},
            {"hidden_act", "gelu_pytorch_tanh"},
            {"use_rope", false},
            {"use_windows_attn", false}}},
          {"text_config",
           {{"hidden_size", l.width},
            {"intermediate_size", l.ffn},
            {"num_hidden_layers", profile.language_layers_nominal},
            {"num_attention_heads", l.heads},
            {"num_key_value_heads", l.kv_heads},
            {"head_dim", l.head_dim},
            {"rms_norm_eps", l.epsilon},
            {"rope_theta", l.rope_theta},
            {"vocab_size", l.vocabulary},
            {"attention_bias", false},
            {"use_sliding_window", false},
            {"rope_scaling", nullptr}}}};
}

Json processor_config(const Profile& profile) {
  Json keys = Json::array();
  Json representations = Json::array();
  for (const JointGroup& group : profile.joints) {
    keys.push_back(group.key);
    representations.push_back({{"rep", group.is_relative ? "RELATIVE" : "ABSOLUTE"},
                               {"type", "NON_EEF"},
                               {"format", "DEFAULT"},
                               {"state_key", nullptr}});
  }
  const Json modalities{
      {"video", modality(1, profile.cameras)},
      {"state", modality(1, keys)},
      {"action", modality(profile.action_steps, keys, representations)},
      {"language", modality(1, Json::array({"annotation.human.task_description"}))}};
  return {{"processor_class", "Gr00tN1d6Processor"},
          {"processor_kwargs",
           {{"modality_configs", {{std::string(profile.embodiment_tag), modalities}}},
            {"image_crop_size", nullptr},
            {"image_target_size", nullptr},
            {"use_albumentations", true},
            {"random_rotation_angle", nullptr},
            {"color_jitter_params", nullptr},
            {"shortest_image_edge", kShortestImageEdge},
            {"crop_fraction", kCropFraction},
            {"model_name", "nvidia/Eagle-Block2A-2B-v2"},
            {"model_type", "eagle"},
            {"formalize_language", true},
            {"max_state_dim", profile.network.max_state_dim},
            {"max_action_dim", profile.network.max_action_dim},
            {"max_action_horizon", profile.network.checkpoint_horizon},
            {"use_percentiles", true},
            {"clip_outliers", true},
            {"apply_sincos_state_encoding", false},
            {"use_relative_action", true}}}};
}

Json statistics(const Profile& profile) {
  Json state = Json::object();
  Json action = Json::object();
  Json relative = Json::object();
  for (const JointGroup& group : profile.joints) {
    const std::string key(group.key);
    state[key] = range_statistics(group.dims, 1.0);
    action[key] = range_statistics(group.dims, 1.0);
    if (group.is_relative) {
      relative[key] = step_statistics(profile.action_steps, group.dims);
    }
  }
  return {{std::string(profile.embodiment_tag),
           {{"state", state}, {"action", action}, {"relative_action", relative}}}};
}

Json embodiment_ids(const Profile& profile) {
  Json ids = Json::object();
  for (const EmbodimentSlot& slot : profile.slots) {
    ids[std::string(slot.tag)] = slot.slot;
  }
  return ids;
}

}  // namespace sinew::synth
