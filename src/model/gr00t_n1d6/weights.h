// The names and shapes of every tensor that N1.6 inference reads (spec/checkpoint.md section 2).
#pragma once

#include "model/blocks/action_encoder.h"
#include "model/blocks/dit_block.h"
#include "model/blocks/embodiment_mlp.h"
#include "model/blocks/lm_block.h"
#include "model/blocks/vision_projector.h"
#include "model/blocks/vit_block.h"
#include "model/gr00t_n1d6/config.h"
#include "ops/builder.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::model::gr00t_n1d6 {

struct VisionWeights {
  ops::Value patch_w, patch_b;  // [d, 3*patch*patch], [d]
  ops::Value positions;         // [256, d]
  std::vector<VitBlockWeights> blocks;
  ops::Value post_norm_w, post_norm_b;  // [d]
};

struct LanguageWeights {
  ops::Value embedding;  // [vocabulary, d]
  std::vector<LmBlockWeights> blocks;
  ops::Value norm;  // [d]
};

struct TimeWeights {
  ops::Value in_w, in_b;    // [d, 256], [d]
  ops::Value out_w, out_b;  // [d, d], [d]
};

struct DitWeights {
  TimeWeights time;
  std::vector<ops::Value> modulation_w,
      modulation_b;  // a block: [2d, d], [2d]; rows: scale then shift
  std::vector<DitBlockWeights> blocks;
  ops::Value proj_out_1_w, proj_out_1_b;  // [2d, d], [2d]; rows: shift then scale
  ops::Value proj_out_2_w, proj_out_2_b;  // [output, d], [output]
};

struct Weights {
  VisionWeights vision;
  VisionProjectorWeights projector;
  LanguageWeights language;
  ops::Value vl_norm_w, vl_norm_b;  // [l]; invalid without use_vlln
  EmbodimentMlpWeights state_encoder;
  ActionEncoderWeights action_encoder;
  ops::Value action_positions;  // [max_seq_len, d]; invalid without add_position_embedding
  DitWeights dit;
  EmbodimentMlpWeights action_decoder;
};

// Declares all of them in a recording, with the slices of one embodiment.
Weights declare_weights(ops::Builder& b, const Config& config, int64_t embodiment_id);

struct TensorShape {
  std::string name;
  Shape shape;
};

// Every tensor of a checkpoint as the original saves it, sorted by name: those that
// declare_weights names, and the vision tower's pooling head and lm_head, which inference never
// reads.
std::vector<TensorShape> checkpoint_tensors(const Config& config);

// What a checkpoint may hold that inference never reads: the vision tower's pooling head, lm_head,
// mask_token, language layers at or beyond select_layer.
bool is_known_unused(std::string_view tensor_name, const Config& config);

}  // namespace sinew::model::gr00t_n1d6
