// Reads from top to bottom like spec/model.md: vision tower (3), projector (4), language model (5),
// bridge (6), encoders (7), diffusion transformer (8), flow-matching loop (9).
#include "model/gr00t_n1d6/forward.h"

#include "base/check.h"
#include "model/blocks/action_tokens.h"
#include "model/blocks/action_update.h"
#include "model/blocks/cross_context.h"
#include "model/blocks/dit_stack.h"
#include "model/blocks/patch_embedding.h"
#include "model/blocks/vit_stack.h"
#include "model/gr00t_n1d6/weights.h"
#include "ops/builder.h"

#include <fmt/format.h>

#include <vector>

namespace sinew::model::gr00t_n1d6 {
namespace {

using ops::Builder;
using ops::Value;

constexpr float kProjectorEpsilon = 1e-5F;
constexpr float kVlNormEpsilon = 1e-5F;
constexpr float kDitOutputEpsilon = 1e-6F;
constexpr int64_t kTimeHalf = 128;  // of the DiT's timestep sinusoid

struct Inputs {
  Value frames, token_ids, image_rows, text_rows, state, noise;
};

// I: image tokens of the sample; two by two patches become one.
int64_t image_token_count(const Config& c, const SampleShape& s) {
  return s.views * (s.image_height / (2 * c.vision.patch)) * (s.image_width / (2 * c.vision.patch));
}

Inputs declare_inputs(Builder& b, const Config& c, const SampleShape& s, int64_t state_steps) {
  const int64_t image_tokens = image_token_count(c, s);
  SINEW_CHECK(image_tokens > 0 && s.tokens > image_tokens);
  return {.frames = b.frame_input("frames", {s.views, s.image_height, s.image_width, 3}),
          .token_ids = b.index_input("token_ids", {s.tokens}),
          .image_rows = b.index_input("image_rows", {image_tokens}),
          .text_rows = b.index_input("text_rows", {s.tokens - image_tokens}),
          .state = b.real_input("state", {state_steps, c.max_state_dim}),
          .noise = b.real_input("noise", {c.horizon, c.max_action_dim})};
}

// Patches of all views -> tokens for the language model, [v*p/4, l]. Views never see each other.
Value vision(Builder& b, const Config& c, const SampleShape& s, Value frames, const Weights& w) {
  const int64_t rows = s.image_height / c.vision.patch;
  const int64_t columns = s.image_width / c.vision.patch;
  const Value positions =
      b.once([&] { return b.resize_positions(w.vision.positions, rows, columns); });  // [p, d]
  Value x = patch_embedding(b,
                            {.frames = frames,
                             .w = w.vision.patch_w,
                             .b = w.vision.patch_b,
                             .positions = positions,
                             .patch = c.vision.patch},
                            [&](Value pixels) { b.site("pixel_values", pixels); });
  b.site("vis.embed", x);
  const auto epsilon = static_cast<float>(c.vision.epsilon);
  x = vit_stack(b,
                {.x = x,
                 .w = w.vision.blocks,
                 .images = s.views,
                 .heads = c.vision.heads,
                 .epsilon = epsilon},
                [&](size_t i, Value layer) { b.site(fmt::format("vis.layer{}", i), layer); });
  x = b.layer_norm(x, w.vision.post_norm_w, w.vision.post_norm_b, epsilon);
  b.site("vis.out", x);
  const Value tokens = vision_projector(
      b,
      {.x = x, .w = w.projector, .rows = rows, .columns = columns, .epsilon = kProjectorEpsilon});
  b.site("vis.mlp1", tokens);
  return tokens;
}

// Prompt with the image tokens put in -> context for the action head, [t, l].
Value language(Builder& b, const Config& c, const SampleShape& s, const Inputs& in,
               Value image_tokens, const Weights& w) {
  const auto [cos, sin] = b.once([&] {
    return b.rope_table({.theta = c.language.rope_theta,
                         .head_dim = c.language.head_dim,
                         .positions = s.tokens,
                         .first_position = s.first_position,
                         .rounding = c.rope_rounding});
  });
  Value x = b.scatter_rows(b.embed(w.language.embedding, in.token_ids), in.image_rows,
                           image_tokens);  // [t, l]
  b.site("llm.inputs_embeds", x);
  const auto epsilon = static_cast<float>(c.language.epsilon);
  for (size_t i = 0; i < w.language.blocks.size(); ++i) {
    x = lm_block(b, {.x = x,
                     .cos = cos,
                     .sin = sin,
                     .w = w.language.blocks[i],
                     .heads = c.language.heads,
                     .kv_heads = c.language.kv_heads,
                     .epsilon = epsilon});
    b.site(fmt::format("llm.layer{}", i), x);
  }
  x = b.rms_norm(x, w.language.norm, epsilon);
  b.site("backbone_features", x);
  if (c.use_vlln) {
    x = b.layer_norm(x, w.vl_norm_w, w.vl_norm_b, kVlNormEpsilon);
  }
  b.site("vlln", x);
  return x;
}

// Keys and values of every cross-attention block, once an observation. Even blocks read text rows
// when index % (2 * attend_text_every_n_blocks) == 0, else image rows; odd blocks attend to
// themselves and have none.
std::vector<KeyValue> cross_key_values(Builder& b, const Config& c, const Inputs& in, Value context,
                                       const Weights& w) {
  Value text = context;
  Value image = context;
  if (c.use_alternate_vl_dit) {
    text = b.gather_rows(context, in.text_rows);
    image = b.gather_rows(context, in.image_rows);
  }
  std::vector<KeyValue> out(w.dit.blocks.size());
  for (const bool of_text : {true, false}) {
    std::vector<size_t> indices;
    CrossContext group{.rows = of_text ? text : image, .blocks = {}};
    for (size_t i = 0; i < out.size(); i += 2) {
      const bool is_text = static_cast<int64_t>(i) % (2 * c.attend_text_every_n_blocks) == 0;
      if (is_text == of_text) {
        indices.push_back(i);
        group.blocks.push_back(&w.dit.blocks[i]);
      }
    }
    const auto found = indices.empty() ? std::vector<KeyValue>() : cross_context(b, group);
    for (size_t g = 0; g < indices.size(); ++g) {
      out[indices[g]] = found[g];
    }
  }
  return out;
}

// Everything of one denoising step that depends on weights and time alone.
struct StepConstants {
  Value tau_mix;                        // [1, d]
  std::vector<Modulation> modulations;  // a block
  Modulation output;
};

// The integer time of a denoising step: IEEE double, truncated (spec/model.md section 9).
int64_t step_time(const Config& c, int64_t step) {
  return static_cast<int64_t>(static_cast<double>(step) / static_cast<double>(c.denoising_steps) *
                              static_cast<double>(c.timestep_buckets));
}

// silu(temb) W + b -> two halves of width d.
Modulation modulation(Builder& b, Value activated_time, Value w, Value bias, bool scale_first) {
  const Value both = b.linear(activated_time, w, bias);  // [1, 2d]
  const int64_t d = b.shape(both)[1] / 2;
  const Value halves = b.reshape(both, {2, d});
  const Value first = b.reshape(b.slice_rows(halves, 0, 1), {d});
  const Value second = b.reshape(b.slice_rows(halves, 1, 1), {d});
  return scale_first ? Modulation{first, second} : Modulation{second, first};
}

StepConstants step_constants(Builder& b, const Config& c, int64_t step, const Weights& w) {
  const int64_t time = step_time(c, step);
  return b.once([&] {
    const Value sinusoid = b.time_sinusoid(
        {.form = ops::SinusoidForm::kCosSinInclusive, .time = time, .half = kTimeHalf});
    const TimeWeights& t = w.dit.time;
    const Value temb =
        b.linear(b.silu(b.linear(sinusoid, t.in_w, t.in_b)), t.out_w, t.out_b);  // [1, d]
    b.site(fmt::format("step{}.dit.temb", step), temb);
    const Value activated = b.silu(temb);
    StepConstants constants;
    for (size_t i = 0; i < w.dit.blocks.size(); ++i) {
      constants.modulations.push_back(modulation(b, activated, w.dit.modulation_w[i],
                                                 w.dit.modulation_b[i], /*scale_first=*/true));
    }
    constants.output =
        modulation(b, activated, w.dit.proj_out_1_w, w.dit.proj_out_1_b, /*scale_first=*/false);
    constants.tau_mix = action_time(b, w.action_encoder, time);
    return constants;
  });
}

// One denoising step: the diffusion transformer over state and actions, and the actions moved along
// its velocity, [k, a].
Value denoise(Builder& b, const Config& c, int64_t step, Value actions, Value state_features,
              const std::vector<KeyValue>& context, const Weights& w) {
  const StepConstants constants = step_constants(b, c, step, w);
  const auto site = [&](std::string_view name) {
    return [&b, step, name](Value v) { b.site(fmt::format("step{}.{}", step, name), v); };
  };
  site("actions_in")(actions);
  Value x = action_tokens(
      b,
      {.encoder = {.x = actions, .tau_mix = constants.tau_mix, .w = w.action_encoder},
       .positions =
           c.add_position_embedding ? b.slice_rows(w.action_positions, 0, c.horizon) : Value(),
       .state = state_features},
      site("action_encoder"));  // [state + k, d]
  site("dit.in")(x);
  x = dit_stack(b,
                {.x = x,
                 .modulations = constants.modulations,
                 .context = context,
                 .w = w.dit.blocks,
                 .heads = c.dit.heads,
                 .epsilon = static_cast<float>(c.dit.epsilon)},
                [&](size_t i, Value rows) { site(fmt::format("dit.block{}", i))(rows); });
  return action_update(b,
                       {.x = x,
                        .modulation = constants.output,
                        .proj_w = w.dit.proj_out_2_w,
                        .proj_b = w.dit.proj_out_2_b,
                        .decoder = w.action_decoder,
                        .actions = actions,
                        .epsilon = kDitOutputEpsilon,
                        .dt = 1.0F / static_cast<float>(c.denoising_steps)},
                       site("dit.out"), site("velocity"));
}

}  // namespace

ops::Plan record_forward(const Config& config, const SampleShape& shape,
                         const EmbodimentShape& embodiment) {
  Builder b;
  const Inputs in = declare_inputs(b, config, shape, embodiment.state_steps);
  const Weights w = declare_weights(b, config, embodiment.embodiment_id);
  b.site("state", in.state);

  const Value image_tokens =
      b.stage("vision", [&] { return vision(b, config, shape, in.frames, w); });
  const Value context =
      b.stage("language", [&] { return language(b, config, shape, in, image_tokens, w); });
  const auto key_values =
      b.stage("action", [&] { return cross_key_values(b, config, in, context, w); });
  const Value state_features =
      b.stage("action", [&] { return embodiment_mlp(b, {.x = in.state, .w = w.state_encoder}); });
  b.site("state_features", state_features);

  Value actions = in.noise;
  for (int64_t step = 0; step < config.denoising_steps; ++step) {
    actions = b.stage(fmt::format("denoise{}", step), [&] {
      return denoise(b, config, step, actions, state_features, key_values, w);
    });
  }
  b.site("action_pred", actions);
  b.output(actions);
  return b.take();
}

}  // namespace sinew::model::gr00t_n1d6
