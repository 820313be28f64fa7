// Cameras of a data set that are probably exchanged, and frames whose channels are: the part of
// dataset_check.h that looks at names and colours.
#pragma once

#include "dataset/dataset.h"
#include "io/json.h"

#include <span>
#include <string>
#include <vector>

namespace sinew::cli {

// Camera keys of the policy that modality.json binds to the feature named like another of them.
void check_camera_names(const dataset::Dataset& data, std::span<const std::string> keys,
                        std::vector<std::string>& warnings);

// Holds the mean colours of a few frames of the episode against those that LeRobot wrote down: of
// the episode (meta/episodes_stats.jsonl), else of the data set (`stats`, the document of
// meta/stats.json). A data set without image statistics costs nothing and is not judged.
void check_camera_colours(const dataset::Dataset& data, std::span<const std::string> keys,
                          const io::Json& stats, dataset::Episode& episode,
                          std::vector<std::string>& warnings);

}  // namespace sinew::cli
