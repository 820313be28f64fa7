// The network's normalised chunk to actions in physical units, and the forward direction for
// statistics and tests (spec/preprocessing.md section 6).
#pragma once

#include "preprocess/config/processor_config.h"
#include "preprocess/config/scaling.h"
#include "preprocess/state/state.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sinew::preprocess {

// Where each action key lies in the network's output and in the decoded chunk; settled at load.
struct ActionKeyLayout {
  std::string key;
  int64_t offset = 0;       // first dimension in the normalised vector
  int64_t dims = 0;         // D_k of the absolute action statistics
  int64_t output_dims = 0;  // of the decoded action: D_k, or 6 for a relative XYZ_ROTVEC
};

// Decodes and encodes action chunks by the rules of one configuration, whose tables it copies at
// construction. Afterwards decode allocates nothing (but the text of an error) and is const: any
// thread may.
class ActionDecoder {
 public:
  // Precondition: `config` is a result of resolve_processor_config. (Tests may set the format of a
  // relative EEF action to DEFAULT afterwards.)
  explicit ActionDecoder(const ProcessorConfig& config);

  // In the order of the configuration's keys.
  std::span<const ActionKeyLayout> layout() const { return layout_; }

  // normalized f32 [horizon, max_action_dim] -> one f32 [action_steps, output_dims] a key, in the
  // order of layout(). `state` holds the raw groups that relative keys refer to. Fails (kBadInput)
  // when horizon < action_steps, a reference state is missing (kNotFound), of the wrong width, not
  // finite or no rotation, or a predicted rotation is degenerate (kInternal: the network's fault).
  Status decode(std::span<const float> normalized, int64_t horizon,
                std::span<const StateGroup> state, std::span<const std::span<float>> dst) const;

  // The same in f64 before the final cast, for one key; a relative EEF action with DEFAULT format
  // gives [action_steps, 4, 4] matrices.
  Status decode_key(size_t key_index, std::span<const float> normalized, int64_t horizon,
                    std::span<const StateGroup> state, std::span<double> dst) const;

  // Raw actions f32 [action_steps, dims] of one key -> normalised f64 [action_steps, dims]
  // (relative first, then scaled and clipped): section 6, "forward direction". kUnsupported for
  // relative EEF actions of another format than XYZ_ROT6D.
  Status encode_key(size_t key_index, std::span<const float> raw, std::span<const StateGroup> state,
                    std::span<double> dst) const;

 private:
  enum class Reference { kNone, kJoints, kPose };

  struct Key {
    Scaling scaling;
    Reference reference = Reference::kNone;
    ActionFormat format = ActionFormat::kDefault;
    std::string state_key;      // of the reference
    size_t state_position = 0;  // of that key in the state configuration
  };

  template <class T>
  Status decode_rows(size_t key_index, std::span<const float> normalized, int64_t horizon,
                     std::span<const StateGroup> state, std::span<T> dst) const;
  template <class T>
  Status decode_poses(size_t key_index, std::span<const float> normalized,
                      std::span<const float> reference, std::span<T> dst) const;
  Status encode_poses(size_t key_index, std::span<const float> raw,
                      std::span<const float> reference, std::span<double> dst) const;
  Result<std::span<const float>> find_reference(size_t key_index,
                                                std::span<const StateGroup> state) const;

  std::vector<ActionKeyLayout> layout_;
  std::vector<Key> keys_;
  int64_t steps_ = 0;
  int64_t max_dim_ = 0;
  bool clip_ = true;
};

// The same for one call, at the cost of building the decoder.
std::vector<ActionKeyLayout> action_layout(const ProcessorConfig& config);
Status decode_action(const ProcessorConfig& config, std::span<const float> normalized,
                     int64_t horizon, std::span<const StateGroup> state,
                     std::span<const std::span<float>> dst);
Status decode_action_key(const ProcessorConfig& config, size_t key_index,
                         std::span<const float> normalized, int64_t horizon,
                         std::span<const StateGroup> state, std::vector<double>& dst);
Status encode_action_key(const ProcessorConfig& config, size_t key_index,
                         std::span<const float> raw, std::span<const StateGroup> state,
                         std::vector<double>& dst);

}  // namespace sinew::preprocess
