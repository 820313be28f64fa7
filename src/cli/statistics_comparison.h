// How the statistics of a data set differ from those that a checkpoint was trained with
// (spec/dataset.md section 4: a tag that had statistics before a fine-tuning keeps the old ones).
#pragma once

#include "dataset/dataset.h"
#include "io/json.h"
#include "preprocess/config/processor_config.h"

#include "sinew/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::cli {

// One statistic of one group, of both sides: as many values each.
struct StatisticsPair {
  std::string modality;  // state, action, relative_action
  std::string key;
  std::string statistic;  // mean, std, min, max, q01, q99
  std::vector<double> of_checkpoint;
  std::vector<double> of_dataset;
  std::vector<double> deviation;  // the checkpoint's standard deviations; may be shorter
};

// The statistics named, of every group that the checkpoint has statistics for. `stats` and
// `relative` are the documents of stats.json and relative_stats.json. kBadInput when the data set
// lacks a group or has other extents.
Result<std::vector<StatisticsPair>> pair_statistics(
    const preprocess::EmbodimentStatistics& checkpoint, const dataset::DatasetInfo& info,
    const io::JsonView& stats, const io::JsonView& relative,
    std::span<const std::string_view> statistics);

// The largest difference of one statistic of one group.
struct StatisticsDifference {
  std::string modality;  // state, action, relative_action
  std::string key;
  std::string statistic;  // mean, std, min, max, q01, q99
  int64_t dim = 0;        // where; of the flattened [steps, dims] for relative actions
  double of_dataset = 0;
  double of_checkpoint = 0;
  double deviations = 0;  // difference in the checkpoint's standard deviations of that place
};

// Of all six statistics, with the errors of pair_statistics.
Result<std::vector<StatisticsDifference>> compare_statistics(
    const preprocess::EmbodimentStatistics& checkpoint, const dataset::DatasetInfo& info,
    const io::JsonView& stats, const io::JsonView& relative);

}  // namespace sinew::cli
