#include "cli/statistics_comparison.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace sinew::cli {
namespace {

using preprocess::Statistics;

constexpr std::array<std::pair<std::string_view, std::vector<double> Statistics::*>, 6> kStatistics{
    {
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

// Where the two sides differ most.
StatisticsDifference find_largest(StatisticsPair&& pair) {
  StatisticsDifference difference;
  difference.modality = std::move(pair.modality);
  difference.key = std::move(pair.key);
  difference.statistic = std::move(pair.statistic);
  difference.deviations = -1;
  for (size_t i = 0; i < pair.of_checkpoint.size(); ++i) {
    const double distance = std::abs(pair.of_checkpoint[i] - pair.of_dataset[i]);
    const double unit = i < pair.deviation.size() ? pair.deviation[i] : 0;
    double deviations = 0;
    if (!(distance == 0)) {
      deviations = unit > 0 ? distance / unit : std::numeric_limits<double>::infinity();
    }
    if (std::isnan(deviations)) {
      deviations = std::numeric_limits<double>::infinity();
    }
    if (deviations > difference.deviations) {
      difference.dim = static_cast<int64_t>(i);
      difference.of_checkpoint = pair.of_checkpoint[i];
      difference.of_dataset = pair.of_dataset[i];
      difference.deviations = deviations;
    }
  }
  return difference;
}

struct Slice {
  size_t start = 0;
  size_t end = std::numeric_limits<size_t>::max();
};

// Pairs the groups of one comparison.
class Pairing {
 public:
  explicit Pairing(std::span<const std::string_view> statistics) : wanted_(statistics) {}

  Status add(const std::string& modality, const std::string& key, const Statistics& group,
             const io::JsonView& entry, Slice slice);
  Status add_columns(const std::string& modality, const std::map<std::string, Statistics>& trained,
                     const std::map<std::string, dataset::GroupInfo>& groups,
                     const io::JsonView& stats);

  std::vector<StatisticsPair> take() { return std::move(pairs_); }

 private:
  std::span<const std::string_view> wanted_;
  std::vector<StatisticsPair> pairs_;
};

Status Pairing::add(const std::string& modality, const std::string& key, const Statistics& group,
                    const io::JsonView& entry, Slice slice) {
  for (const auto& [name, member] : kStatistics) {
    const std::vector<double>& trained = group.*member;
    if (trained.empty() || std::ranges::find(wanted_, name) == wanted_.end()) {
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
    pairs_.push_back({modality, key, std::string(name), trained, std::move(found), group.std});
  }
  return {};
}

Status Pairing::add_columns(const std::string& modality,
                            const std::map<std::string, Statistics>& trained,
                            const std::map<std::string, dataset::GroupInfo>& groups,
                            const io::JsonView& stats) {
  for (const auto& [key, statistics] : trained) {
    const auto group = groups.find(key);
    if (group == groups.end()) {
      return bad_input("the checkpoint has statistics of {} \"{}\", which the data set lacks",
                       modality, key);
    }
    SINEW_ASSIGN(const io::JsonView entry, stats.at(group->second.column));
    const Slice slice{static_cast<size_t>(group->second.start),
                      static_cast<size_t>(group->second.end)};
    SINEW_TRY(add(modality, key, statistics, entry, slice));
  }
  return {};
}

}  // namespace

Result<std::vector<StatisticsPair>> pair_statistics(
    const preprocess::EmbodimentStatistics& checkpoint, const dataset::DatasetInfo& info,
    const io::JsonView& stats, const io::JsonView& relative,
    std::span<const std::string_view> statistics) {
  Pairing pairing(statistics);
  SINEW_TRY(pairing.add_columns("state", checkpoint.state, info.state, stats));
  SINEW_TRY(pairing.add_columns("action", checkpoint.action, info.action, stats));
  for (const auto& [key, group] : checkpoint.relative_action) {
    SINEW_ASSIGN(const io::JsonView entry, relative.at(key));
    SINEW_TRY(pairing.add("relative_action", key, group, entry, {}));
  }
  return pairing.take();
}

Result<std::vector<StatisticsDifference>> compare_statistics(
    const preprocess::EmbodimentStatistics& checkpoint, const dataset::DatasetInfo& info,
    const io::JsonView& stats, const io::JsonView& relative) {
  std::vector<std::string_view> all;
  all.reserve(kStatistics.size());
  for (const auto& entry : kStatistics) {
    all.push_back(entry.first);
  }
  SINEW_ASSIGN(std::vector<StatisticsPair> pairs,
               pair_statistics(checkpoint, info, stats, relative, all));
  std::vector<StatisticsDifference> out;
  out.reserve(pairs.size());
  for (StatisticsPair& pair : pairs) {
    out.push_back(find_largest(std::move(pair)));
  }
  return out;
}

}  // namespace sinew::cli
