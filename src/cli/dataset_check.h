// What of a data set speaks against its being the one a checkpoint was trained on: `sinew eval`
// runs all the same, and says so first.
#pragma once

#include "dataset/dataset.h"
#include "preprocess/config/processor_config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sinew::cli {

// Warnings, one a finding:
// - robot_type names another embodiment that is known,
// - a camera of the policy is the feature named like another of its cameras,
// - mean or standard deviation of a state or action group are another robot's, or another unit's,
// - frames a second: info.json, its videos and the time stamps of the episode do not agree,
// - frames whose colours fit the data set's image statistics better in the order BGR, or those of
//   another camera.
// `position` is the episode that is looked into. What a data set does not say is not compared; what
// cannot be read is left to the evaluation, which reports it as an error.
std::vector<std::string> check_dataset(const dataset::Dataset& data,
                                       const preprocess::ProcessorConfig& config, int64_t position);

}  // namespace sinew::cli
