// The weight files of a checkpoint folder: one model.safetensors, or the shards that
// model.safetensors.index.json lists (spec/checkpoint.md section 1). A part of Checkpoint::open.
#pragma once

#include "io/safetensors.h"

#include "sinew/result.h"

#include <filesystem>
#include <string>
#include <vector>

namespace sinew::io {

struct WeightFiles {
  std::vector<SafetensorsFile> shards;
  std::vector<TensorEntry> tensors;  // of all shards, sorted by name; views into the shards
  std::vector<std::string> notices;
};

// Errors: neither an index nor a single file; shards missing or damaged; a tensor of the index
// missing from its shard; a tensor in two shards; tensors of a 4-bit quantised checkpoint.
Result<WeightFiles> open_weight_files(const std::filesystem::path& folder);

}  // namespace sinew::io
