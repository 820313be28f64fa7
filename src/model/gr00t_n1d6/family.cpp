#include "model/gr00t_n1d6/family.h"

#include "base/error.h"
#include "model/gr00t_n1d6/config.h"
#include "model/gr00t_n1d6/forward.h"
#include "model/gr00t_n1d6/weights.h"
#include "tensor/convert.h"

#include <cmath>
#include <utility>

namespace sinew::model::gr00t_n1d6 {
namespace {

// Slots of the base model that fine-tuning never touched keep their initial standard deviation of
// 0.02 (spec/checkpoint.md section 6).
constexpr double kUntrainedStd = 0.025;
constexpr const char* kSlotTensor = "action_head.action_encoder.W1.W";

class Gr00tN1d6 final : public Network {
 public:
  Gr00tN1d6(Config config, const NetworkOptions& options)
      : config_(std::move(config)),
        state_steps_(options.state_steps),
        embodiment_id_(options.embodiment_id) {
    facts_ = {.pixels_per_token = 2 * config_.vision.patch,
              .vocabulary = config_.language.vocabulary,
              .max_positions = config_.language.max_positions,
              .horizon = config_.horizon,
              .checkpoint_horizon = config_.checkpoint_horizon,
              .max_state_dim = config_.max_state_dim,
              .max_action_dim = config_.max_action_dim,
              .denoising_steps = config_.denoising_steps,
              .image_token_id = config_.image_token_id};
  }

  const NetworkFacts& facts() const override { return facts_; }

  const io::ResolvedConfig& resolved() const override { return config_.resolved; }

  ops::Plan record(const SampleShape& shape) const override {
    return record_forward(config_, shape,
                          {.embodiment_id = embodiment_id_, .state_steps = state_steps_});
  }

  bool is_known_unused(std::string_view name) const override {
    return gr00t_n1d6::is_known_unused(name, config_);
  }

  std::vector<std::string> inspect_weights(const io::Checkpoint& checkpoint) const override {
    const io::TensorEntry* tensor = checkpoint.find(kSlotTensor);
    const int64_t elements = config_.max_action_dim * config_.dit.width();
    if (tensor == nullptr || tensor->view.shape.elements() < (embodiment_id_ + 1) * elements) {
      return {};
    }
    const size_t offset_bytes =
        static_cast<size_t>(embodiment_id_ * elements) * dtype_bytes(tensor->view.dtype);
    std::vector<float> slot(static_cast<size_t>(elements));
    convert_to_f32({static_cast<const std::byte*>(tensor->view.data) + offset_bytes,
                    tensor->view.dtype,
                    {elements}},
                   slot);
    double sum = 0;
    double squares = 0;
    for (const float x : slot) {
      sum += x;
      squares += static_cast<double>(x) * x;
    }
    const auto n = static_cast<double>(elements);
    const double deviation = std::sqrt(std::max(0.0, squares / n - (sum / n) * (sum / n)));
    if (deviation >= kUntrainedStd) {
      return {};
    }
    return {
        fmt::format("embodiment slot {} looks untrained: standard deviation of {} is {:.4f} "
                    "(untouched slots have "
                    "0.02): is this the embodiment that the checkpoint was fine-tuned for?",
                    embodiment_id_, kSlotTensor, deviation)};
  }

 private:
  Config config_;
  int64_t state_steps_;
  int64_t embodiment_id_;
  NetworkFacts facts_;
};

}  // namespace

Result<std::unique_ptr<Network>> load_network(const io::Checkpoint& checkpoint,
                                              const io::VlmFolder& vlm,
                                              const NetworkOptions& options) {
  SINEW_ASSIGN(Config config, resolve_config(checkpoint, vlm, options));
  if (options.embodiment_id < 0 || options.embodiment_id >= config.max_embodiments) {
    const std::string& note = options.embodiment_id_note;
    return bad_input(
        "{}: embodiment id {}: expected 0 to {} (max_num_embodiments of config.json){}",
        checkpoint.path().string(), options.embodiment_id, config.max_embodiments - 1,
        note.empty() ? ""
                     : fmt::format("; {}: copy embodiment_id.json from the folder that training "
                                   "wrote, or write one with the id that the embodiment was "
                                   "trained with",
                                   note));
  }
  return std::unique_ptr<Network>(std::make_unique<Gr00tN1d6>(std::move(config), options));
}

}  // namespace sinew::model::gr00t_n1d6
