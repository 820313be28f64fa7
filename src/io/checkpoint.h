// A checkpoint folder, opened and validated but not interpreted: named tensors and raw config
// values (spec/checkpoint.md sections 1 and 7). Immutable; weights stay in the mapped files.
#pragma once

#include "io/json.h"
#include "io/safetensors.h"

#include "sinew/result.h"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::io {

struct CheckpointOptions {
  std::filesystem::path
      processor_path;  // --processor: folder of the processor files when not beside the model
};

// The JSON library's move is noexcept by its word, which the analyser does not take.
class Checkpoint {  // NOLINT(bugprone-exception-escape)
 public:
  // Reads config.json, processor_config.json, statistics.json, optional embodiment_id.json, and
  // maps model.safetensors or all shards of model.safetensors.index.json. Processor files may lie
  // in
  // `./processor/` (said in notices()). Errors: missing files by name with the remedy (a "best
  // metric" folder without processor files proposes --processor DIR; a folder holding checkpoint-N
  // folders lists them); shards missing, tensors of the index missing from their shard, tensors
  // twice, 4-bit extras
  // (*.absmax, *.quant_map) refused; a git-LFS pointer named.
  static Result<Checkpoint> open(const std::filesystem::path& folder,
                                 const CheckpointOptions& options = {});

  const std::filesystem::path& path() const { return path_; }

  // nullptr when absent.
  const TensorEntry* find(std::string_view name) const;

  // All tensors, sorted by name.
  std::span<const TensorEntry> tensors() const { return tensors_; }

  JsonView config() const { return {config_, config_where_}; }

  JsonView processor_config() const { return {processor_config_, processor_config_where_}; }

  JsonView statistics() const { return {statistics_, statistics_where_}; }

  // Null view when the file is absent.
  JsonView embodiment_ids() const { return {embodiment_ids_, embodiment_ids_where_}; }

  // What a person should know: processor files found in ./processor, global step
  // (spec/seed-features.md 33), ...
  std::span<const std::string> notices() const { return notices_; }

  size_t file_bytes() const { return file_bytes_; }  // of all shards

 private:
  std::filesystem::path path_;
  std::vector<SafetensorsFile> shards_;
  std::vector<TensorEntry> tensors_;
  Json config_, processor_config_, statistics_, embodiment_ids_;
  std::string config_where_, processor_config_where_, statistics_where_, embodiment_ids_where_;
  std::vector<std::string> notices_;
  size_t file_bytes_ = 0;
};

// The vision-language model's own files, which official checkpoints do not carry: config.json
// (optional), vocab.json and merges.txt (required), added_tokens.json (optional).
struct VlmFolder {
  std::filesystem::path path;
  std::optional<Json> config;  // absent: the dimensions are N1.6's (spec/checkpoint.md section 5)
  std::string config_where;
  std::string vocab, merges;  // raw texts
  std::optional<std::string>
      added_tokens;                  // raw text; absent: the table of spec/preprocessing.md 4.4
  std::vector<std::string> notices;  // settings of tokenizer_config.json that are not followed
};

// `vlm_path` if not empty, else the search order of design/cli.md: CHECKPOINT/, CHECKPOINT/eagle/,
// CHECKPOINT/../eagle/. A config.json whose model_type is the policy's is not a VLM config. Without
// a tokenizer the error says which two files to fetch from where (the Eagle-Block2A-2B-v2 or any
// Qwen3 tokenizer folder), every folder that was searched, and the flag.
Result<VlmFolder> open_vlm_folder(const std::filesystem::path& checkpoint,
                                  const std::filesystem::path& vlm_path);

}  // namespace sinew::io
