// OBS.json, .npz and .safetensors: what the robot sees, as a file (docs/cli.md, "OBS.json").
#pragma once

#include "dataset/dataset.h"

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sinew::cli {

// Pixels that are decoded, so that a file of a few lines cannot ask for all memory.
struct ObservationLimits {
  int64_t pixels = int64_t{1} << 27;       // of one observation: 16 frames of 4K
  int64_t file_pixels = int64_t{1} << 29;  // of all observations of a batch
};

struct ObservationFile {
  std::string embodiment_tag;        // lower case; empty when the file names none
  std::vector<dataset::Step> steps;  // one, or several for a batch; without actions
};

// By the path's ending. Errors (kBadInput, kNotFound) name the file, the key, what was expected and
// what was found: unknown ending, missing parts, wrong types or extents, ragged rows, values that
// are not finite, images that cannot be read or are too many, a batch with different embodiments.
// kUsage never.
Result<ObservationFile> read_observation_file(const std::filesystem::path& path,
                                              const ObservationLimits& limits = {});

}  // namespace sinew::cli
