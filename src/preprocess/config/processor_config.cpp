// The checkpoint's processor files to one ProcessorConfig (spec/preprocessing.md sections 7 and 8):
// pick the embodiment, settle every flag with its origin, then check the statistics against both.
#include "preprocess/config/processor_config.h"

#include "base/ascii.h"
#include "base/error.h"
#include "preprocess/config/builtin_embodiments.h"
#include "preprocess/config/parse.h"
#include "preprocess/config/scaling.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace sinew::preprocess {
namespace {

using io::JsonView;
using io::Origin;

constexpr int64_t kMaxSide = 16384;
constexpr int64_t kMaxDims = 65536;
constexpr int64_t kMaxEmbodimentId = 65535;

// Section 8.1. The three behind the blank line matter in training only.
constexpr std::array<std::string_view, 18> kKwargs = {"modality_configs",
                                                      "image_crop_size",
                                                      "image_target_size",
                                                      "use_albumentations",
                                                      "shortest_image_edge",
                                                      "crop_fraction",
                                                      "model_name",
                                                      "model_type",
                                                      "formalize_language",
                                                      "max_state_dim",
                                                      "max_action_dim",
                                                      "use_percentiles",
                                                      "clip_outliers",
                                                      "apply_sincos_state_encoding",
                                                      "use_relative_action",

                                                      "random_rotation_angle",
                                                      "color_jitter_params",
                                                      "max_action_horizon"};

// processor_kwargs, read one by one; every value read becomes a row of `resolved`.
class Kwargs {
 public:
  Kwargs(const JsonView& object, io::ResolvedConfig& resolved)
      : object_(object), resolved_(resolved) {}

  // Written in the file, be it as null.
  bool has(std::string_view key) const { return object_.json().contains(std::string(key)); }

  bool is_null(std::string_view key) const { return has(key) && !object_.has(key); }

  const JsonView& object() const { return object_; }

  Result<bool> boolean(std::string_view key, bool code_default) {
    if (!has(key)) {
      add_default(key, fmt::to_string(code_default));
      return code_default;
    }
    SINEW_ASSIGN(const JsonView view, object_.at(key));
    SINEW_ASSIGN(const bool value, view.as_bool());
    add(key, fmt::to_string(value));
    return value;
  }

  Result<int64_t> integer(std::string_view key, int64_t code_default, int64_t low, int64_t high) {
    if (!has(key)) {
      add_default(key, fmt::to_string(code_default));
      return code_default;
    }
    SINEW_ASSIGN(const JsonView view, object_.at(key));
    SINEW_ASSIGN(const int64_t value, view.as_int(low, high));
    add(key, fmt::to_string(value));
    return value;
  }

  // [height, width]; nothing when absent or null.
  Result<std::optional<std::array<int64_t, 2>>> image_size(std::string_view key) {
    if (!object_.has(key)) {
      return std::optional<std::array<int64_t, 2>>{};
    }
    SINEW_ASSIGN(const JsonView view, object_.at(key));
    SINEW_ASSIGN(const std::vector<int64_t> sides, view.as_ints());
    if (sides.size() != 2 ||
        std::ranges::any_of(sides, [](int64_t side) { return side < 1 || side > kMaxSide; })) {
      return view.error_here(fmt::format("expected [height, width], each from 1 to {}, found [{}]",
                                         kMaxSide, fmt::join(sides, ", ")));
    }
    return std::optional(std::array{sides[0], sides[1]});
  }

  // A setting of which only one value is served.
  Status expect_text(std::string_view key, std::string_view only) {
    if (!has(key)) {
      add_default(key, std::string(only));
      return {};
    }
    SINEW_ASSIGN(const JsonView view, object_.at(key));
    SINEW_ASSIGN(const std::string value, view.as_string());
    if (value != only) {
      return view.error_here(
          fmt::format("expected \"{}\", found \"{}\": another model family", only, value));
    }
    add(key, value);
    return {};
  }

  void add(std::string_view key, std::string value, std::string note = "") {
    resolved_.add(row_name(key), std::move(value), Origin::kProcessorConfig, std::move(note));
  }

  void add_default(std::string_view key, std::string value) {
    resolved_.add(row_name(key), std::move(value), Origin::kDefault,
                  "absent; the default of the original's code");
  }

 private:
  static std::string row_name(std::string_view key) { return fmt::format("processor.{}", key); }

  JsonView object_;
  io::ResolvedConfig& resolved_;
};

// Every tag that has statistics; each must have a modality configuration as well.
Result<std::vector<std::string>> find_valid_tags(const JsonView& statistics,
                                                 const JsonView& modality_configs) {
  SINEW_TRY(statistics.expect_object());
  SINEW_TRY(modality_configs.expect_object());
  std::vector<std::string> tags = statistics.keys();
  if (tags.empty()) {
    return statistics.error_here("expected statistics of at least one embodiment, found none");
  }
  for (const std::string& tag : tags) {
    if (!modality_configs.has(tag) && find_builtin_embodiment(tag) == nullptr) {
      return statistics.error_here(fmt::format(
          "\"{}\" has statistics but no modality configuration: expected one in {} ({}) or a "
          "built-in embodiment",
          tag, modality_configs.where(), join(modality_configs.keys())));
    }
  }
  return tags;
}

Status select_tag(const JsonView& statistics, const ProcessorOptions& options,
                  ProcessorConfig& config) {
  const std::vector<std::string>& tags = config.valid_tags;
  if (options.embodiment_tag.empty()) {
    if (tags.size() > 1) {
      return usage_error(
          "{}: has statistics of {} embodiments: choose one with "
          "--embodiment-tag ({})",
          statistics.where(), tags.size(), join(tags));
    }
    config.embodiment_tag = tags.front();
    config.resolved.add("embodiment.tag", config.embodiment_tag, Origin::kStatistics,
                        "the only one with statistics");
    return {};
  }
  const std::string wanted = ascii_lower(options.embodiment_tag);
  const auto found = std::ranges::find_if(
      tags, [&](const std::string& tag) { return ascii_lower(tag) == wanted; });
  if (found == tags.end()) {
    return not_found(
        "embodiment \"{}\": {} has no statistics of it, expected one of {}; choose with "
        "--embodiment-tag or the observation's embodiment_tag",
        options.embodiment_tag, statistics.where(), join(tags));
  }
  config.embodiment_tag = *found;
  config.resolved.add("embodiment.tag", config.embodiment_tag, Origin::kFlag);
  return {};
}

Status resolve_embodiment_id(const JsonView& ids, ProcessorConfig& config) {
  const std::string& tag = config.embodiment_tag;
  if (!ids.is_null()) {
    SINEW_TRY(ids.expect_object());
    if (ids.has(tag)) {
      SINEW_ASSIGN(const JsonView id, ids.at(tag));
      SINEW_ASSIGN(config.embodiment_id, id.as_int(0, kMaxEmbodimentId));
      config.resolved.add("embodiment.id", fmt::to_string(config.embodiment_id),
                          Origin::kEmbodimentId);
      return {};
    }
  }
  const std::string found = ids.is_null() ? ids.where() + " is missing"
                                          : fmt::format("{} has no entry \"{}\"", ids.where(), tag);
  const std::optional<int64_t> builtin = builtin_embodiment_id(tag);
  if (!builtin.has_value()) {
    return bad_input(
        "no id for the embodiment \"{}\": {}, and the built-in table does not know it; copy the "
        "file from the folder that training wrote, or write {{\"{}\": ID}} with the id of the "
        "training",
        tag, found, tag);
  }
  config.embodiment_id = *builtin;
  config.embodiment_id_note = found + ", so the built-in table gave the id";
  config.resolved.add("embodiment.id", fmt::to_string(config.embodiment_id), Origin::kDefault,
                      config.embodiment_id_note);
  return {};
}

const char* name_of(ActionRepresentation representation) {
  switch (representation) {
    case ActionRepresentation::kAbsolute:
      return "ABSOLUTE";
    case ActionRepresentation::kRelative:
      return "RELATIVE";
    case ActionRepresentation::kDelta:
      return "DELTA";
  }
  return "";
}

const char* name_of(ActionFormat format) {
  switch (format) {
    case ActionFormat::kDefault:
      return "DEFAULT";
    case ActionFormat::kXyzRot6d:
      return "XYZ_ROT6D";
    case ActionFormat::kXyzRotvec:
      return "XYZ_ROTVEC";
  }
  return "";
}

void add_modality_rows(ProcessorConfig& config, Origin origin, const std::string& note) {
  const Modalities& modalities = config.modalities;
  const auto add = [&](std::string key, std::string value) {
    config.resolved.add(std::move(key), std::move(value), origin, note);
  };
  for (const auto& [name, modality] :
       {std::pair("video", &modalities.video), std::pair("state", &modalities.state),
        std::pair("action", &modalities.action), std::pair("language", &modalities.language)}) {
    add(fmt::format("{}.modality_keys", name), join(modality->keys));
    add(fmt::format("{}.delta_indices", name),
        fmt::format("{}", fmt::join(modality->delta_indices, ", ")));
    if (!modality->sin_cos_keys.empty()) {
      add(fmt::format("{}.sin_cos_embedding_keys", name), join(modality->sin_cos_keys));
    }
    if (!modality->mean_std_keys.empty()) {
      add(fmt::format("{}.mean_std_embedding_keys", name), join(modality->mean_std_keys));
    }
  }
  for (size_t i = 0; i < modalities.action.action_configs.size(); ++i) {
    const ActionConfig& rule = modalities.action.action_configs[i];
    add(fmt::format("action.{}", modalities.action.keys[i]),
        fmt::format("{} {} {}{}", name_of(rule.representation),
                    rule.type == ActionType::kEef ? "EEF" : "NON_EEF", name_of(rule.format),
                    rule.state_key.empty() ? "" : ", state " + rule.state_key));
  }
}

Status resolve_modalities(const JsonView& modality_configs, ProcessorConfig& config) {
  const std::string& tag = config.embodiment_tag;
  std::string where;
  if (modality_configs.has(tag)) {
    SINEW_ASSIGN(const JsonView object, modality_configs.at(tag));
    SINEW_ASSIGN(config.modalities, parse_modalities(object));
    where = object.where();
    add_modality_rows(config, Origin::kProcessorConfig, "");
  } else {
    config.modalities = builtin_modalities(*find_builtin_embodiment(tag));  // see find_valid_tags
    where = fmt::format("built-in configuration of {}", tag);
    add_modality_rows(config, Origin::kDefault, "built-in; the checkpoint has none for the tag");
  }
  return check_modalities(config, where, config.resolved.notices);
}

Status resolve_shortest_edge(Kwargs& kwargs, ProcessorConfig& config) {
  constexpr int64_t kCodeDefault = 512;
  if (!kwargs.is_null("shortest_image_edge")) {
    SINEW_ASSIGN(config.shortest_image_edge,
                 kwargs.integer("shortest_image_edge", kCodeDefault, 1, kMaxSide));
    return {};
  }
  SINEW_ASSIGN(const auto target, kwargs.image_size("image_target_size"));
  if (!target.has_value()) {
    return kwargs.object().error_here(
        "shortest_image_edge and image_target_size are both null: one of them must give the size "
        "that frames are resized to");
  }
  config.shortest_image_edge = (*target)[0];
  kwargs.add("shortest_image_edge", fmt::to_string(config.shortest_image_edge),
             "null; image_target_size[0]");
  return {};
}

Status resolve_crop_fraction(Kwargs& kwargs, ProcessorConfig& config) {
  constexpr double kCodeDefault = 0.95;
  std::string note;
  if (!kwargs.has("crop_fraction")) {
    config.crop_fraction = kCodeDefault;
    kwargs.add_default("crop_fraction", fmt::to_string(kCodeDefault));
    return {};
  }
  if (kwargs.is_null("crop_fraction")) {
    SINEW_ASSIGN(const auto crop, kwargs.image_size("image_crop_size"));
    SINEW_ASSIGN(const auto target, kwargs.image_size("image_target_size"));
    if (!crop.has_value() || !target.has_value()) {
      return kwargs.object().error_here(
          "crop_fraction is null, and so is image_crop_size or image_target_size, whose ratio "
          "would stand for it");
    }
    config.crop_fraction = static_cast<double>((*crop)[0]) / static_cast<double>((*target)[0]);
    note = "null; image_crop_size[0] / image_target_size[0]";
  } else {
    SINEW_ASSIGN(const JsonView view, kwargs.object().at("crop_fraction"));
    SINEW_ASSIGN(config.crop_fraction, view.as_number());
  }
  if (!(config.crop_fraction > 0 && config.crop_fraction <= 1)) {
    return kwargs.object().error_here(
        fmt::format("crop_fraction: expected a number above 0 and up to 1, found {}{}{}",
                    config.crop_fraction, note.empty() ? "" : " from ", note));
  }
  kwargs.add("crop_fraction", fmt::to_string(config.crop_fraction), note);
  return {};
}

Status resolve_image_path(Kwargs& kwargs) {
  SINEW_ASSIGN(const bool albumentations, kwargs.boolean("use_albumentations", false));
  if (!albumentations) {
    return kwargs.object().error_here(fmt::format(
        "use_albumentations is {}: expected true; the torchvision image path, on which the "
        "original fails for camera frames, is not supported",
        kwargs.has("use_albumentations") ? "false" : "absent, which means false"));
  }
  return {};
}

Result<int64_t> resolve_max_dim(Kwargs& kwargs, std::string_view key, ProcessorConfig& config) {
  constexpr int64_t kCodeDefault = 29;
  if (!kwargs.has(key)) {
    config.resolved.notices.push_back(
        fmt::format("{}: {} is absent: {}, the default of the original's code",
                    kwargs.object().where(), key, kCodeDefault));
  }
  return kwargs.integer(key, kCodeDefault, 1, kMaxDims);
}

// Everything of processor_kwargs but the modality configurations.
Status resolve_flags(Kwargs& kwargs, ProcessorConfig& config) {
  SINEW_TRY(kwargs.expect_text("model_name", "nvidia/Eagle-Block2A-2B-v2"));
  SINEW_TRY(kwargs.expect_text("model_type", "eagle"));
  SINEW_TRY(resolve_image_path(kwargs));
  SINEW_TRY(resolve_shortest_edge(kwargs, config));
  SINEW_TRY(resolve_crop_fraction(kwargs, config));
  SINEW_ASSIGN(config.formalize_language, kwargs.boolean("formalize_language", true));
  SINEW_ASSIGN(config.max_state_dim, resolve_max_dim(kwargs, "max_state_dim", config));
  SINEW_ASSIGN(config.max_action_dim, resolve_max_dim(kwargs, "max_action_dim", config));
  SINEW_ASSIGN(config.use_percentiles, kwargs.boolean("use_percentiles", false));
  SINEW_ASSIGN(config.clip_outliers, kwargs.boolean("clip_outliers", true));
  SINEW_ASSIGN(config.apply_sincos_state_encoding,
               kwargs.boolean("apply_sincos_state_encoding", false));
  SINEW_ASSIGN(config.use_relative_action, kwargs.boolean("use_relative_action", false));
  return {};
}

Status check_dims(const JsonView& kwargs, std::string_view modality, std::string_view limit_name,
                  int64_t dims, int64_t limit) {
  if (dims > limit) {
    return kwargs.error_here(fmt::format("{} is {}, but the {} keys have {} dimensions together",
                                         limit_name, limit, modality, dims));
  }
  return {};
}

Status resolve_statistics(const JsonView& root, const JsonView& kwargs, ProcessorConfig& config) {
  SINEW_ASSIGN(const JsonView embodiment, root.at(config.embodiment_tag));
  SINEW_ASSIGN(config.statistics, parse_statistics(embodiment, config, config.resolved.notices));
  check_doubtful_statistics(embodiment, config, config.resolved);
  SINEW_TRY(
      check_dims(kwargs, "state", "max_state_dim", config.state_dims(), config.max_state_dim));
  SINEW_TRY(
      check_dims(kwargs, "action", "max_action_dim", config.action_dims(), config.max_action_dim));
  for (const auto& [name, keys, statistics] :
       {std::tuple("state", &config.modalities.state.keys, &config.statistics.state),
        std::tuple("action", &config.modalities.action.keys, &config.statistics.action)}) {
    for (const std::string& key : *keys) {
      config.resolved.add(fmt::format("{}.{}.dims", name, key),
                          fmt::to_string(statistics->at(key).dims), Origin::kStatistics);
    }
  }
  return {};
}

Status check_processor_class(const JsonView& processor_config) {
  constexpr std::string_view kClass = "Gr00tN1d6Processor";
  SINEW_ASSIGN(const JsonView view,
               require(processor_config, "processor_class", "a GR00T N1.6 checkpoint names it"));
  SINEW_ASSIGN(const std::string name, view.as_string());
  if (name != kClass) {
    return view.error_here(
        fmt::format("expected \"{}\", found \"{}\": not a GR00T N1.6 checkpoint", kClass, name));
  }
  return {};
}

}  // namespace

int64_t ProcessorConfig::state_dims() const {
  int64_t dims = 0;
  for (const std::string& key : modalities.state.keys) {
    const bool doubled = state_scaling_kind(*this, key) == ScalingKind::kSinCos;
    dims += statistics.state.at(key).dims * (doubled ? 2 : 1);
  }
  return dims;
}

int64_t ProcessorConfig::action_dims() const {
  int64_t dims = 0;
  for (const std::string& key : modalities.action.keys) {
    dims += statistics.action.at(key).dims;
  }
  return dims;
}

bool ProcessorConfig::decodes_relative(size_t index) const {
  const std::vector<ActionConfig>& configs = modalities.action.action_configs;
  return use_relative_action && index < configs.size() &&
         configs[index].representation == ActionRepresentation::kRelative;
}

const std::string& ProcessorConfig::reference_state(size_t index) const {
  const ActionConfig& rule = modalities.action.action_configs[index];
  return rule.state_key.empty() ? modalities.action.keys[index] : rule.state_key;
}

Result<ProcessorConfig> resolve_processor_config(const ProcessorSources& sources,
                                                 const ProcessorOptions& options) {
  SINEW_TRY(check_processor_class(sources.processor_config));
  SINEW_ASSIGN(const JsonView object,
               require(sources.processor_config, "processor_kwargs", "is required"));
  SINEW_TRY(object.expect_object());
  SINEW_TRY(refuse_unknown_keys(object, kKwargs));
  SINEW_ASSIGN(const JsonView modality_configs, require(object, "modality_configs", "is required"));

  ProcessorConfig config;
  SINEW_ASSIGN(config.valid_tags, find_valid_tags(sources.statistics, modality_configs));
  SINEW_TRY(select_tag(sources.statistics, options, config));
  SINEW_TRY(resolve_embodiment_id(sources.embodiment_ids, config));
  Kwargs kwargs(object, config.resolved);
  SINEW_TRY(resolve_flags(kwargs, config));
  SINEW_TRY(resolve_modalities(modality_configs, config));
  SINEW_TRY(resolve_statistics(sources.statistics, object, config));
  return config;
}

Result<ProcessorConfig> resolve_processor_config(const io::Checkpoint& checkpoint,
                                                 const ProcessorOptions& options) {
  return resolve_processor_config(
      {checkpoint.processor_config(), checkpoint.statistics(), checkpoint.embodiment_ids()},
      options);
}

}  // namespace sinew::preprocess
