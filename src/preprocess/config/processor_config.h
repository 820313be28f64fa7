// processor_config.json, statistics.json and embodiment_id.json of a checkpoint, interpreted for
// one embodiment (spec/preprocessing.md sections 7 and 8). Everything pre- and postprocessing
// needs, resolved once.
#pragma once

#include "io/checkpoint.h"
#include "io/resolved.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sinew::preprocess {

enum class ActionRepresentation {
  kAbsolute,
  kRelative,
  kDelta
};  // kDelta behaves as kAbsolute (6.3)
enum class ActionType { kNonEef, kEef };
enum class ActionFormat { kDefault, kXyzRot6d, kXyzRotvec };

struct ActionConfig {
  ActionRepresentation representation = ActionRepresentation::kAbsolute;
  ActionType type = ActionType::kNonEef;
  ActionFormat format = ActionFormat::kDefault;
  std::string state_key;  // empty: the state of the same name
};

// One modality of one embodiment (section 8.2).
struct ModalityConfig {
  std::vector<int64_t> delta_indices;
  std::vector<std::string> keys;
  std::vector<std::string> sin_cos_keys;
  std::vector<std::string> mean_std_keys;
  std::vector<ActionConfig> action_configs;  // one a key, or empty
};

struct Modalities {
  ModalityConfig video, state, action, language;
};

// Statistics of one key: each [D], or [T][D] flattened row-major with steps == T for relative
// actions.
struct Statistics {
  int64_t steps = 1;
  int64_t dims = 0;
  std::vector<double> min, max, mean, std, q01, q99;  // [steps * dims]
};

struct EmbodimentStatistics {
  std::map<std::string, Statistics> state, action, relative_action;
};

struct ProcessorOptions {
  std::string embodiment_tag;  // --embodiment-tag, any case; empty: the only one with statistics
};

struct ProcessorConfig {
  std::string embodiment_tag;  // lower case
  int64_t embodiment_id = 0;
  std::string embodiment_id_note;  // why the id is the built-in table's; empty: the file's own
  Modalities modalities;
  EmbodimentStatistics statistics;
  std::vector<std::string> valid_tags;  // tags with statistics and a modality config, sorted

  // Images (section 1).
  int64_t shortest_image_edge = 0;
  double crop_fraction = 0;
  // Text (section 4).
  bool formalize_language = true;
  // State and action (sections 5 and 6).
  int64_t max_state_dim = 0;
  int64_t max_action_dim = 0;
  bool use_percentiles = false;
  bool clip_outliers = true;
  bool apply_sincos_state_encoding = false;
  bool use_relative_action = false;

  int64_t state_steps() const {
    return static_cast<int64_t>(modalities.state.delta_indices.size());
  }

  int64_t action_steps() const {
    return static_cast<int64_t>(modalities.action.delta_indices.size());
  }

  int64_t state_dims() const;   // sum over keys after sin/cos encoding
  int64_t action_dims() const;  // sum over keys of the absolute action statistics

  // Whether action key `index` is decoded relative to a state: RELATIVE, and use_relative_action.
  bool decodes_relative(size_t index) const;

  // The state that action key `index` refers to: its state_key, or its own name.
  const std::string& reference_state(size_t index) const;

  io::ResolvedConfig resolved;
};

// Resolves and checks everything for one embodiment. Errors (kBadInput unless said): unknown
// kwargs, wrong types, no tag given where several have statistics (kUsage, lists them), a tag
// that the files do not have (kUsage, lists those they have), a tag in the statistics without a
// modality config, statistics missing, of unequal lengths or non-finite where used, language not
// exactly one key and one delta, action_configs of the wrong length, RELATIVE without relative
// statistics or without its reference state, relative EEF with DEFAULT format or not 9 wide, dims
// beyond max_state_dim/max_action_dim, torchvision image path (use_albumentations false). Built-in
// modality configs and ids of 7 and 7.1 complete what the files lack. Dead dimensions, keys that
// are ignored and flags without effect are told in `resolved.notices`, statistics that hardly are
// right in `resolved.warnings`.
Result<ProcessorConfig> resolve_processor_config(const io::Checkpoint& checkpoint,
                                                 const ProcessorOptions& options);

// The same from parsed JSON, for tests and tools.
struct ProcessorSources {
  io::JsonView processor_config, statistics, embodiment_ids;
};

Result<ProcessorConfig> resolve_processor_config(const ProcessorSources& sources,
                                                 const ProcessorOptions& options);

// Modality configs from a JSON object {modality: ModalityConfig} (a --modality-config-path file,
// section 8.2). A modality that the object lacks stays empty; one of another name is an error.
Result<Modalities> parse_modalities(const io::JsonView& object);

}  // namespace sinew::preprocess
