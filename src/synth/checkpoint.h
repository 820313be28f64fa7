// A checkpoint folder with made-up weights in the true layout (spec/checkpoint.md): what `sinew
// synth` writes and `sinew bench --synthetic` runs.
#pragma once

#include "synth/profile.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>

namespace sinew::synth {

struct CheckpointSummary {
  int64_t tensors = 0;
  int64_t parameters = 0;
  size_t tensor_bytes = 0;
  int64_t shards = 0;
};

// What write_checkpoint will write.
CheckpointSummary summarize(const Profile& profile);

// Called after each piece of a few megabytes; a failure ends the writing, and is its result.
using OnProgress = std::function<Status(size_t done_bytes, size_t total_bytes)>;

// Writes the folder, its tokenizer and VLM config in eagle/ included. Memory stays bounded by a few
// megabytes. The folder appears complete under its name or not at all. Errors (kBadInput): it
// exists and is not empty, the folder that holds it is missing or not writable, the disk is too
// full.
Result<CheckpointSummary> write_checkpoint(const Profile& profile, uint64_t seed,
                                           const std::filesystem::path& folder,
                                           const OnProgress& on_progress = {});

}  // namespace sinew::synth
