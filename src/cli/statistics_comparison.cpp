#include "cli/statistics_comparison.h"

#include "base/error.h"

#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace sinew::cli {
namespace {

using preprocess::Statistics;

constexpr std::array<std::pair<const char*, std::vector<double> Statistics::*>, 6> kStatistics{{
    {"mean", &Statistics::mean},
    {"std", &Statistics::std},
    {"min", &Statistics::min},
    {"max", &Statistics::max},
    {"q01", &Statistics::q01},
    {"q99", &Statistics::q99},
}};

// [n] or [t][n] numbers, flattened.
Result<std::vector<double>> flat_numbers(const io::JsonView& array) {
  SINEW_ASSIGN(const size_t count, array.array_size());
  if (count == 0 || !array.json().front().is_array()) {
    return array.as_numbers();
  }
  std::vector<double> out;
  for (size_t i = 0; i < count; ++i) {
    SINEW_ASSIGN(const io::JsonView row, array.at(i));
    SINEW_ASSIGN(const std::vector<double> numbers, row.as_numbers());
    out.insert(out.end(), numbers.begin(), numbers.end());
  }
  return out;
}

// Where `trained` and `found` differ most. The two have one size.
void find_largest(const Statistics& group, const std::vector<double>& trained,
                  const std::vector<double>& found, StatisticsDifference& difference) {
  difference.deviations = -1;
  for (size_t i = 0; i < trained.size(); ++i) {
    const double distance = std::abs(trained[i] - found[i]);
    const double unit = i < group.std.size() ? group.std[i] : 0;
    double deviations = 0;
    if (!(distance == 0)) {
      deviations = unit > 0 ? distance / unit : std::numeric_limits<double>::infinity();
    }
    if (std::isnan(deviations)) {
      deviations = std::numeric_limits<double>::infinity();
    }
    if (deviations > difference.deviations) {
      difference.dim = static_cast<int64_t>(i);
      difference.of_checkpoint = trained[i];
      difference.of_dataset = found[i];
      difference.deviations = deviations;
    }
  }
}

struct Slice {
  size_t start = 0;
  size_t end = std::numeric_limits<size_t>::max();
};

Status compare_group(const std::string& modality, const std::string& key, const Statistics& group,
                     const io::JsonView& entry, Slice slice,
                     std::vector<StatisticsDifference>& out) {
  for (const auto& [name, member] : kStatistics) {
    const std::vector<double>& trained = group.*member;
    if (trained.empty()) {
      continue;
    }
    SINEW_ASSIGN(const io::JsonView array, entry.at(name));
    SINEW_ASSIGN(std::vector<double> found, flat_numbers(array));
    const size_t end = std::min(slice.end, found.size());
    found = {found.begin() + static_cast<std::ptrdiff_t>(std::min(slice.start, end)),
             found.begin() + static_cast<std::ptrdiff_t>(end)};
    if (found.size() != trained.size()) {
      return bad_input("{}: {} \"{}\" has {} values in the data set and {} in the checkpoint",
                       array.where(), modality, key, found.size(), trained.size());
    }
    StatisticsDifference difference;
    difference.modality = modality;
    difference.key = key;
    difference.statistic = name;
    find_largest(group, trained, found, difference);
    out.push_back(std::move(difference));
  }
  return {};
}

Status compare_columns(const std::string& modality,
                       const std::map<std::string, Statistics>& trained,
                       const std::map<std::string, dataset::GroupInfo>& groups,
                       const io::JsonView& stats, std::vector<StatisticsDifference>& out) {
  for (const auto& [key, statistics] : trained) {
    const auto group = groups.find(key);
    if (group == groups.end()) {
      return bad_input("the checkpoint has statistics of {} \"{}\", which the data set lacks",
                       modality, key);
    }
    SINEW_ASSIGN(const io::JsonView entry, stats.at(group->second.column));
    const Slice slice{static_cast<size_t>(group->second.start),
                      static_cast<size_t>(group->second.end)};
    SINEW_TRY(compare_group(modality, key, statistics, entry, slice, out));
  }
  return {};
}

}  // namespace

Result<std::vector<StatisticsDifference>> compare_statistics(
    const preprocess::EmbodimentStatistics& checkpoint, const dataset::DatasetInfo& info,
    const io::JsonView& stats, const io::JsonView& relative) {
  std::vector<StatisticsDifference> out;
  SINEW_TRY(compare_columns("state", checkpoint.state, info.state, stats, out));
  SINEW_TRY(compare_columns("action", checkpoint.action, info.action, stats, out));
  for (const auto& [key, statistics] : checkpoint.relative_action) {
    SINEW_ASSIGN(const io::JsonView entry, relative.at(key));
    SINEW_TRY(compare_group("relative_action", key, statistics, entry, {}, out));
  }
  return out;
}

}  // namespace sinew::cli
