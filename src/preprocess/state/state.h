// Proprioceptive state to the network's input vector (spec/preprocessing.md section 5).
#pragma once

#include "preprocess/config/processor_config.h"
#include "preprocess/config/scaling.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

// One raw state group: f32 [steps, dims], physical units.
struct StateGroup {
  std::string_view key;
  std::span<const float> values;  // [steps * dims]
  int64_t steps = 0;
  int64_t dims = 0;
};

// nullptr when absent. The group at position `expected` is looked at first: clients that send
// groups in the configuration's order pay one comparison.
const StateGroup* find_state_group(std::span<const StateGroup> groups, std::string_view key,
                                   size_t expected);

// Encodes states by the rules of one configuration, whose tables it copies at construction.
// Afterwards encoding allocates nothing (but the text of an error) and is const: any thread may.
class StateEncoder {
 public:
  // Precondition: `config` is a result of resolve_processor_config.
  explicit StateEncoder(const ProcessorConfig& config);

  // dst f32 [state_steps, max_state_dim]: groups normalised, concatenated in config order,
  // zero-padded. Groups of other names are ignored. Errors name the key: missing (kNotFound),
  // unexpected number of steps or dims (against the statistics), non-finite values (kBadInput).
  Status encode(std::span<const StateGroup> groups, std::span<float> dst) const;

  // One group by itself; dst [state_steps, width of the key].
  Status encode_group(const StateGroup& group, std::span<float> dst) const;

  // Of the encoded group: its dims, twice that with sin/cos; 0 for a key that the configuration
  // does not have.
  int64_t width(std::string_view key) const;

 private:
  struct Key {
    std::string name;
    Scaling scaling;
    int64_t offset = 0;  // first column in the encoded vector
    int64_t width = 0;
  };

  const Key* find(std::string_view name) const;
  Status check(const Key& key, const StateGroup& group) const;

  std::string tag_;  // of the embodiment, for errors
  std::vector<Key> keys_;
  int64_t steps_ = 0;
  int64_t max_dim_ = 0;
  bool clip_ = true;
};

// The same for one call, at the cost of building the encoder.
Status encode_state(const ProcessorConfig& config, std::span<const StateGroup> groups,
                    std::span<float> dst);
Status encode_state_group(const ProcessorConfig& config, const StateGroup& group,
                          std::span<float> dst);
int64_t encoded_width(const ProcessorConfig& config, std::string_view key);

}  // namespace sinew::preprocess
