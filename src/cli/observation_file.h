// OBS.json, .npz and .safetensors: what the robot sees, as a file (docs/cli.md, "OBS.json").
#pragma once

#include "dataset/dataset.h"

#include "sinew/result.h"

#include <filesystem>
#include <string>
#include <vector>

namespace sinew::cli {

struct ObservationFile {
  std::string embodiment_tag;        // lower case; empty when the file names none
  std::vector<dataset::Step> steps;  // one, or several for a batch; without actions
};

// By the path's ending. Errors (kBadInput, kNotFound) name the file, the key, what was expected and
// what was found: unknown ending, missing parts, wrong types or extents, ragged rows, values that
// are not finite, images that cannot be read, a batch with different embodiments. kUsage never.
Result<ObservationFile> read_observation_file(const std::filesystem::path& path);

}  // namespace sinew::cli
