#include "base/error.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "io/name_list.h"

#include <system_error>
#include <utility>

namespace sinew::io {
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kVocabulary = "vocab.json";
constexpr const char* kMerges = "merges.txt";
constexpr const char* kAddedTokens = "added_tokens.json";
constexpr const char* kTokenizerConfig = "tokenizer_config.json";

bool has_tokenizer(const std::filesystem::path& folder) {
  return path_exists(folder / kVocabulary) && path_exists(folder / kMerges);
}

Status no_tokenizer(std::span<const std::filesystem::path> searched) {
  std::vector<std::string> names;
  for (const std::filesystem::path& folder : searched) {
    const bool vocabulary = path_exists(folder / kVocabulary);
    const bool merges = path_exists(folder / kMerges);
    names.push_back(folder.string() + (vocabulary ? " (it has no merges.txt)"
                                       : merges   ? " (it has no vocab.json)"
                                                  : ""));
  }
  return not_found(
      "no tokenizer: expected {} and {} in one of {}; fetch these two files from "
      "nvidia/Eagle-Block2A-2B-v2 or any Qwen3 model on huggingface.co, put them into a folder and "
      "give it with --vlm-path DIR",
      kVocabulary, kMerges, name_list(names));
}

// The model_type of a config; empty when it names none.
std::string model_type(const Json& config) {
  const auto found = config.find("model_type");
  return found != config.end() && found->is_string() ? found->get_ref<const std::string&>() : "";
}

// Whether a config.json beside the tokenizer is the policy's, not the vision-language model's.
bool is_policy_config(const Json& config, const std::filesystem::path& checkpoint) {
  const Result<Json> policy = read_json_file(checkpoint / kConfig);
  return policy.ok() && policy.value().is_object() && !model_type(config).empty() &&
         model_type(config) == model_type(policy.value());
}

// Prompts of a batch are padded on the left whatever the file says (spec/model.md section 5.4). The
// file is not needed, so one that cannot be read is left alone.
void note_padding_side(const std::filesystem::path& folder, VlmFolder& vlm) {
  const std::filesystem::path path = folder / kTokenizerConfig;
  if (!path_exists(path)) {
    return;
  }
  const Result<Json> config = read_json_file(path);
  if (!config.ok() || !config.value().is_object()) {
    return;
  }
  const auto side = config.value().find("padding_side");
  if (side != config.value().end() && *side == "right") {
    vlm.notices.push_back(fmt::format(
        "{}: padding_side is \"right\": not followed, GR00T N1.6 pads on the left", path.string()));
  }
}

}  // namespace

Result<VlmFolder> open_vlm_folder(const std::filesystem::path& checkpoint,
                                  const std::filesystem::path& vlm_path) {
  std::vector<std::filesystem::path> candidates = {checkpoint, checkpoint / "eagle",
                                                   checkpoint / ".." / "eagle"};
  if (!vlm_path.empty()) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(vlm_path, ignored)) {
      return not_found("{}: no such folder (--vlm-path)", vlm_path.string());
    }
    candidates = {vlm_path};
  }
  VlmFolder vlm;
  for (const std::filesystem::path& candidate : candidates) {
    if (vlm.path.empty() && has_tokenizer(candidate)) {
      vlm.path = candidate;
    }
  }
  if (vlm.path.empty()) {
    return no_tokenizer(candidates);
  }
  SINEW_ASSIGN(vlm.vocab, read_file(vlm.path / kVocabulary));
  SINEW_ASSIGN(vlm.merges, read_file(vlm.path / kMerges));
  if (path_exists(vlm.path / kAddedTokens)) {
    SINEW_ASSIGN(vlm.added_tokens, read_file(vlm.path / kAddedTokens));
  }
  note_padding_side(vlm.path, vlm);
  if (path_exists(vlm.path / kConfig)) {
    vlm.config_where = (vlm.path / kConfig).string();
    SINEW_ASSIGN(Json config, read_json_file(vlm.config_where));
    SINEW_TRY(JsonView(config, vlm.config_where).expect_object());
    if (!is_policy_config(config, checkpoint)) {
      vlm.config = std::move(config);
    }
  }
  return vlm;
}

}  // namespace sinew::io
