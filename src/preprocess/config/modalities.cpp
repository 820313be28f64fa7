// ModalityConfig objects (spec/preprocessing.md section 8.2) and what a policy asks of them.
#include "base/error.h"
#include "preprocess/config/parse.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace sinew::preprocess {
namespace {

constexpr size_t kMaxSteps = 4096;
constexpr size_t kMaxKeys = 1024;
constexpr int64_t kMaxDelta = 1'000'000;

template <class Enum>
using EnumNames = std::array<std::pair<std::string_view, Enum>, 3>;

constexpr EnumNames<ActionRepresentation> kRepresentations = {{
    {"RELATIVE", ActionRepresentation::kRelative},
    {"DELTA", ActionRepresentation::kDelta},
    {"ABSOLUTE", ActionRepresentation::kAbsolute},
}};
constexpr std::array<std::pair<std::string_view, ActionType>, 2> kTypes = {{
    {"EEF", ActionType::kEef},
    {"NON_EEF", ActionType::kNonEef},
}};
constexpr EnumNames<ActionFormat> kFormats = {{
    {"DEFAULT", ActionFormat::kDefault},
    {"XYZ_ROT6D", ActionFormat::kXyzRot6d},
    {"XYZ_ROTVEC", ActionFormat::kXyzRotvec},
}};

template <class Names>
auto parse_enum(const io::JsonView& object, std::string_view key, const Names& names)
    -> Result<decltype(names[0].second)> {
  SINEW_ASSIGN(const io::JsonView view, require(object, key, "is required"));
  SINEW_ASSIGN(const std::string text, view.as_string());
  for (const auto& [name, value] : names) {
    if (name == text) {
      return value;
    }
  }
  std::vector<std::string> expected;
  expected.reserve(names.size());
  for (const auto& entry : names) {
    expected.emplace_back(entry.first);
  }
  return view.error_here(fmt::format("expected one of {}, found \"{}\"", join(expected), text));
}

// A list of distinct, non-empty names; empty when absent or null.
Result<std::vector<std::string>> parse_keys(const io::JsonView& object, std::string_view key) {
  if (!object.has(key)) {
    return std::vector<std::string>{};
  }
  SINEW_ASSIGN(const io::JsonView view, object.at(key));
  SINEW_ASSIGN(std::vector<std::string> keys, view.as_strings());
  if (keys.size() > kMaxKeys) {
    return view.error_here(
        fmt::format("expected at most {} names, found {}", kMaxKeys, keys.size()));
  }
  std::vector<std::string> sorted = keys;
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end()) {
    return view.error_here(fmt::format("\"{}\" occurs twice", *twice));
  }
  if (!sorted.empty() && sorted.front().empty()) {
    return view.error_here("expected names, found an empty one");
  }
  return keys;
}

Result<ActionConfig> parse_action_config(const io::JsonView& object) {
  constexpr std::array<std::string_view, 4> kKnown = {"rep", "type", "format", "state_key"};
  SINEW_TRY(object.expect_object());
  SINEW_TRY(refuse_unknown_keys(object, kKnown));
  ActionConfig config;
  SINEW_ASSIGN(config.representation, parse_enum(object, "rep", kRepresentations));
  SINEW_ASSIGN(config.type, parse_enum(object, "type", kTypes));
  SINEW_ASSIGN(config.format, parse_enum(object, "format", kFormats));
  if (object.has("state_key")) {
    SINEW_ASSIGN(const io::JsonView state_key, object.at("state_key"));
    SINEW_ASSIGN(config.state_key, state_key.as_string());
  }
  return config;
}

Result<std::vector<ActionConfig>> parse_action_configs(const io::JsonView& object, size_t keys) {
  std::vector<ActionConfig> configs;
  if (!object.has("action_configs")) {
    return configs;
  }
  SINEW_ASSIGN(const io::JsonView list, object.at("action_configs"));
  SINEW_ASSIGN(const size_t size, list.array_size());
  if (size != keys) {
    return list.error_here(
        fmt::format("expected one entry for each of the {} modality_keys, found {}", keys, size));
  }
  for (size_t i = 0; i < size; ++i) {
    SINEW_ASSIGN(const io::JsonView item, list.at(i));
    SINEW_ASSIGN(ActionConfig config, parse_action_config(item));
    configs.push_back(std::move(config));
  }
  return configs;
}

Result<ModalityConfig> parse_modality(const io::JsonView& object) {
  constexpr std::array<std::string_view, 5> kKnown = {"delta_indices", "modality_keys",
                                                      "sin_cos_embedding_keys",
                                                      "mean_std_embedding_keys", "action_configs"};
  SINEW_TRY(object.expect_object());
  SINEW_TRY(refuse_unknown_keys(object, kKnown));
  ModalityConfig config;
  SINEW_ASSIGN(const io::JsonView deltas, require(object, "delta_indices", "is required"));
  SINEW_ASSIGN(config.delta_indices, deltas.as_ints());
  if (config.delta_indices.empty() || config.delta_indices.size() > kMaxSteps) {
    return deltas.error_here(fmt::format("expected 1 to {} time steps, found {}", kMaxSteps,
                                         config.delta_indices.size()));
  }
  for (const int64_t delta : config.delta_indices) {
    if (delta < -kMaxDelta || delta > kMaxDelta) {
      return deltas.error_here(
          fmt::format("expected steps within +-{}, found {}", kMaxDelta, delta));
    }
  }
  SINEW_ASSIGN(const io::JsonView names, require(object, "modality_keys", "is required"));
  SINEW_ASSIGN(config.keys, parse_keys(object, "modality_keys"));
  if (config.keys.empty()) {
    return names.error_here("expected at least one key, found none");
  }
  SINEW_ASSIGN(config.sin_cos_keys, parse_keys(object, "sin_cos_embedding_keys"));
  SINEW_ASSIGN(config.mean_std_keys, parse_keys(object, "mean_std_embedding_keys"));
  SINEW_ASSIGN(config.action_configs, parse_action_configs(object, config.keys.size()));
  return config;
}

bool contains(const std::vector<std::string>& keys, const std::string& key) {
  return std::ranges::find(keys, key) != keys.end();
}

// Names of keys that the modality does not have change nothing, in the original as here.
void note_unknown_embedding_keys(const ModalityConfig& modality, std::string_view name,
                                 std::vector<std::string>& notices) {
  for (const auto& [list, listed] :
       {std::pair("sin_cos_embedding_keys", &modality.sin_cos_keys),
        std::pair("mean_std_embedding_keys", &modality.mean_std_keys)}) {
    for (const std::string& key : *listed) {
      if (!contains(modality.keys, key)) {
        notices.push_back(
            fmt::format("{}.{}: \"{}\" is not among its modality_keys: ignored", name, list, key));
      }
    }
  }
}

void note_ineffective_settings(const ProcessorConfig& config, std::vector<std::string>& notices) {
  const Modalities& modalities = config.modalities;
  note_unknown_embedding_keys(modalities.state, "state", notices);
  note_unknown_embedding_keys(modalities.action, "action", notices);
  if (!modalities.state.sin_cos_keys.empty() && !config.apply_sincos_state_encoding) {
    notices.push_back(fmt::format(
        "state.sin_cos_embedding_keys ({}): no effect, apply_sincos_state_encoding is false",
        join(modalities.state.sin_cos_keys)));
  }
  for (size_t i = 0; i < modalities.action.action_configs.size(); ++i) {
    const ActionConfig& action = modalities.action.action_configs[i];
    const std::string& key = modalities.action.keys[i];
    if (action.representation == ActionRepresentation::kDelta) {
      notices.push_back(fmt::format("action \"{}\" is DELTA: treated as ABSOLUTE", key));
    }
    if (action.representation == ActionRepresentation::kRelative && !config.use_relative_action) {
      notices.push_back(fmt::format(
          "action \"{}\" is RELATIVE: treated as ABSOLUTE, use_relative_action is false", key));
    }
  }
}

Status check_relative_action(const ProcessorConfig& config, size_t index,
                             const std::string& where) {
  const ModalityConfig& action = config.modalities.action;
  const ActionConfig& rule = action.action_configs[index];
  const std::string place =
      fmt::format("{}: action.action_configs[{}] ({})", where, index, action.keys[index]);
  if (rule.type == ActionType::kNonEef && rule.format != ActionFormat::kDefault) {
    return bad_input("{}: a relative NON_EEF action must have the format DEFAULT", place);
  }
  if (rule.type == ActionType::kEef && rule.format == ActionFormat::kDefault) {
    return bad_input(
        "{}: a relative EEF action with the format DEFAULT decodes to 4x4 matrices, which no "
        "policy can return: expected XYZ_ROT6D or XYZ_ROTVEC",
        place);
  }
  const std::string& reference = config.reference_state(index);
  if (!contains(config.modalities.state.keys, reference)) {
    return bad_input("{}: relative to the state \"{}\", expected one of the state keys {}", place,
                     reference, join(config.modalities.state.keys));
  }
  return {};
}

}  // namespace

Status refuse_unknown_keys(const io::JsonView& object, std::span<const std::string_view> allowed) {
  for (const std::string& key : object.keys()) {
    if (std::ranges::find(allowed, key) == allowed.end()) {
      return object.error_here(
          fmt::format("unknown key \"{}\", expected only {}", key, fmt::join(allowed, ", ")));
    }
  }
  return {};
}

Result<io::JsonView> require(const io::JsonView& object, std::string_view key,
                             std::string_view hint) {
  SINEW_TRY(object.expect_object());
  if (!object.has(key)) {
    const bool is_null = object.json().contains(std::string(key));
    return object.error_here(
        fmt::format("\"{}\" is {}: {}", key, is_null ? "null" : "missing", hint));
  }
  return object.at(key);
}

std::string join(std::span<const std::string> parts) {
  return fmt::format("{}", fmt::join(parts, ", "));
}

Result<Modalities> parse_modalities(const io::JsonView& object) {
  constexpr std::array<std::string_view, 4> kKnown = {"video", "state", "action", "language"};
  SINEW_TRY(object.expect_object());
  SINEW_TRY(refuse_unknown_keys(object, kKnown));
  Modalities modalities;
  for (const auto& [name, target] :
       {std::pair("video", &modalities.video), std::pair("state", &modalities.state),
        std::pair("action", &modalities.action), std::pair("language", &modalities.language)}) {
    if (object.has(name)) {
      SINEW_ASSIGN(const io::JsonView modality, object.at(name));
      SINEW_ASSIGN(*target, parse_modality(modality));
    }
  }
  const ModalityConfig& language = modalities.language;
  if (object.has("language") && (language.keys.size() != 1 || language.delta_indices.size() != 1)) {
    SINEW_ASSIGN(const io::JsonView view, object.at("language"));
    return view.error_here(fmt::format("expected exactly 1 key and 1 delta index, found {} and {}",
                                       language.keys.size(), language.delta_indices.size()));
  }
  return modalities;
}

Status check_modalities(const ProcessorConfig& config, const std::string& where,
                        std::vector<std::string>& notices) {
  const Modalities& modalities = config.modalities;
  for (const auto& [name, modality] :
       {std::pair("video", &modalities.video), std::pair("state", &modalities.state),
        std::pair("action", &modalities.action), std::pair("language", &modalities.language)}) {
    if (modality->keys.empty()) {
      return bad_input("{}: \"{}\" is missing: a policy needs video, state, action and language",
                       where, name);
    }
  }
  for (size_t i = 0; i < modalities.action.keys.size(); ++i) {
    if (config.decodes_relative(i)) {
      SINEW_TRY(check_relative_action(config, i, where));
    }
  }
  note_ineffective_settings(config, notices);
  return {};
}

}  // namespace sinew::preprocess
