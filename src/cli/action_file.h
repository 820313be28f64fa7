// Action chunks as files: --output of `sinew infer` (docs/cli.md).
#pragma once

#include "io/json.h"

#include "sinew/action_chunk.h"
#include "sinew/policy.h"
#include "sinew/result.h"

#include <filesystem>
#include <span>

namespace sinew::cli {

// One chunk as {"actions": {key: [[..]]}, "normalized": [[..]], "timings_ms", "config"}.
io::Json chunk_json(const ActionChunk& chunk, const PolicyInfo& info);

// A document for one chunk, a list of them for several.
io::Json chunks_json(std::span<const ActionChunk> chunks, const PolicyInfo& info);

// {key: {"value", "origin"[, "note"]}} of every resolved value.
io::Json config_json(const PolicyInfo& info);

// kUsage unless the ending is .json, .npz or .safetensors; asked before the policy is loaded.
Status check_action_path(const std::filesystem::path& path);

// .json: chunks_json. .npz and .safetensors: action.<key> f32 [batch, steps, dims] and normalized
// f32 [batch, horizon, max_action_dim]. Atomic. All chunks are of one policy.
Status write_actions(const std::filesystem::path& path, std::span<const ActionChunk> chunks,
                     const PolicyInfo& info);

}  // namespace sinew::cli
