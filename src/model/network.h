// What the rest of the engine knows of a model family: facts about the loaded network and the way
// to record it. A family is one folder below model/ and one row in policy/families.cpp.
#pragma once

#include "io/checkpoint.h"
#include "io/resolved.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::model {

// What the caller settles from outside the checkpoint; the flags are those of the command line.
struct NetworkOptions {
  std::string horizon = "checkpoint";  // checkpoint | modality | a number
  std::optional<int64_t> denoising_steps;
  std::string rope_inv_freq = "auto";  // auto | fp32 | bf16
  bool is_bf16_run = false;
  int64_t action_steps = 0;  // len(action.delta_indices) of the embodiment
  int64_t state_steps = 1;   // len(state.delta_indices)
  int64_t embodiment_id = 0;
  std::string embodiment_id_note;  // where the id is from when no file of the checkpoint says it
};

struct NetworkFacts {
  int64_t pixels_per_token = 28;  // side of the square of pixels that becomes one image token
  int64_t vocabulary = 0;
  int64_t max_positions = 0;       // tokens that the language model was made for
  int64_t horizon = 0;             // action tokens
  int64_t checkpoint_horizon = 0;  // action tokens that the checkpoint's configuration asks for
  int64_t max_state_dim = 0;
  int64_t max_action_dim = 0;
  int64_t denoising_steps = 0;
  std::optional<int64_t> image_token_id;  // what the network's own config says it is
};

// The shapes of one sample that a recording depends on.
struct SampleShape {
  int64_t views = 0;  // v: frames of the sample, time-major
  int64_t image_height = 0;
  int64_t image_width = 0;
  int64_t tokens = 0;          // t: prompt tokens, image tokens included
  int64_t first_position = 0;  // pads to the left of the sample in its batch

  friend bool operator==(const SampleShape&, const SampleShape&) = default;
};

class Network {
 public:
  virtual ~Network() = default;

  virtual const NetworkFacts& facts() const = 0;

  // Every value that was resolved, and what a person should know.
  virtual const io::ResolvedConfig& resolved() const = 0;

  // Inputs, by name: "frames" u8 [v, H, W, 3], "token_ids" i32 [t], "image_rows" i32 [I] and
  // "text_rows" i32 [t - I] (rows of the prompt), "state" f32 [state_steps, max_state_dim], "noise"
  // f32 [horizon, max_action_dim]. Output 0: "action_pred" f32 [horizon, max_action_dim]. Stages:
  // "vision", "language", "action", "denoise<i>". Precondition: a shape with at least one image
  // token and one other token, sides multiples of pixels_per_token.
  virtual ops::Plan record(const SampleShape& shape) const = 0;

  // Whether a tensor is one that checkpoints of this family hold and inference never reads.
  virtual bool is_known_unused(std::string_view tensor_name) const = 0;

  // Findings about the weights themselves, after their names and shapes were checked ("embodiment
  // slot looks untrained").
  virtual std::vector<std::string> inspect_weights(const io::Checkpoint& checkpoint) const = 0;
};

}  // namespace sinew::model
