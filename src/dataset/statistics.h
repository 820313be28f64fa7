// stats.json and relative_stats.json as the original computes them (spec/dataset.md sections 2 and
// 3).
#pragma once

#include "dataset/dataset.h"
#include "io/json.h"
#include "preprocess/config/processor_config.h"

#include "sinew/result.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sinew::dataset {

using Progress = std::function<void(int64_t done, int64_t total)>;

// One entry a float feature of info.json: {"mean","std","min","max","q01","q99"}, each [dims].
Result<io::Json> compute_stats(const Dataset& dataset, const Progress& progress = {});

// One entry a RELATIVE action key: {"max","min","q01","q99","mean","std"}, each [steps][dims].
Result<io::Json> compute_relative_stats(const Dataset& dataset,
                                        const preprocess::Modalities& modalities,
                                        const Progress& progress = {});

}  // namespace sinew::dataset
