#include "cli/dataset_check.h"

#include "base/units.h"
#include "cli/camera_check.h"
#include "cli/statistics_comparison.h"
#include "dataset/info.h"
#include "io/file.h"
#include "io/json.h"
#include "preprocess/config/builtin_embodiments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

namespace sinew::cli {
namespace {

using dataset::Dataset;
using preprocess::ProcessorConfig;

// A part of a mixture lies within sqrt((1 - w) / w) standard deviations of the whole, w its share:
// up to a share of 4 % what is further out was not part of the training.
constexpr double kFarDeviations = 5;

// A data set is a part of the training, and may move half or twice as much.
constexpr double kScaleTolerance = 2;

// "so101_follower" to {"so101", "follower"}.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9')) {
      words.back() += lower;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

bool shares_a_word(const std::vector<std::string>& a, std::string_view tag) {
  return std::ranges::any_of(words_of(tag), [&](const std::string& word) {
    return word != "oxe" && !word.empty() && std::ranges::find(a, word) != a.end();
  });
}

// Robots go by many names, so only one that names another known embodiment says something.
void check_robot(const Dataset& data, const ProcessorConfig& config,
                 std::vector<std::string>& warnings) {
  const std::string& tag = config.embodiment_tag;
  const std::vector<std::string> robot = words_of(data.info().robot_type);
  if (tag == "new_embodiment" || !preprocess::builtin_embodiment_id(tag) ||
      shares_a_word(robot, tag)) {
    return;
  }
  for (const preprocess::BuiltinEmbodimentId& known : preprocess::builtin_embodiment_ids()) {
    if (known.tag != "new_embodiment" && shares_a_word(robot, known.tag)) {
      warnings.push_back(fmt::format(
          "the data set's robot_type is \"{}\", which sounds like the embodiment {}; the policy "
          "runs as {}: is --embodiment-tag right?",
          data.info().robot_type, known.tag, tag));
      return;
    }
  }
}

// "dimension 1 (elbow)"; of relative actions with the step in front.
std::string place_of(const Dataset& data, const StatisticsPair& pair, size_t at) {
  const auto& groups = pair.modality == "state" ? data.info().state : data.info().action;
  const auto group = groups.find(pair.key);
  if (group == groups.end() || group->second.end <= group->second.start) {
    return fmt::format("value {}", at);
  }
  const auto dims = static_cast<size_t>(group->second.end - group->second.start);
  const std::vector<std::string>& names = group->second.dim_names;
  std::string text =
      pair.modality == "relative_action" ? fmt::format("step {}, ", at / dims) : std::string();
  text += fmt::format("dimension {}", at % dims);
  return at % dims < names.size() ? text + fmt::format(" ({})", names[at % dims]) : text;
}

// A dimension that did not move in training says nothing about units.
bool is_live(const StatisticsPair& pair, size_t at) {
  return at < pair.deviation.size() &&
         pair.deviation[at] > 1e-6 * std::max(1.0, std::abs(pair.of_checkpoint[at]));
}

// Whether every moving dimension, and two at least, is about `scale` times as spread out as in
// training, and its mean is where training had it after division by `scale`.
bool is_scaled(const StatisticsPair& mean, const StatisticsPair& std, double scale) {
  size_t live = 0;
  for (size_t i = 0; i < std.of_checkpoint.size(); ++i) {
    if (!is_live(std, i)) {
      continue;
    }
    const double ratio = std.of_dataset[i] / std.of_checkpoint[i] / scale;
    const double off = std::abs(mean.of_dataset[i] / scale - mean.of_checkpoint[i]);
    if (!(ratio > 1 / kScaleTolerance && ratio < kScaleTolerance) ||
        !(off <= kFarDeviations * std.of_checkpoint[i])) {
      return false;
    }
    ++live;
  }
  return live >= 2;
}

// The dimension that is furthest out, when one is far out.
bool find_far(const StatisticsPair& pair, size_t& worst, double& deviations) {
  deviations = kFarDeviations;
  bool found = false;
  for (size_t i = 0; i < pair.of_checkpoint.size(); ++i) {
    const double distance = std::abs(pair.of_dataset[i] - pair.of_checkpoint[i]);
    if (is_live(pair, i) && distance > deviations * pair.deviation[i]) {
      deviations = distance / pair.deviation[i];
      worst = i;
      found = true;
    }
  }
  return found;
}

// `mean` and `std` of one group.
void check_group(const Dataset& data, const StatisticsPair& mean, const StatisticsPair& std,
                 std::vector<std::string>& warnings) {
  const std::string place = fmt::format("{} \"{}\"", mean.modality, mean.key);
  const bool degrees = is_scaled(mean, std, kDegreesPerRadian);
  if (degrees || is_scaled(mean, std, 1 / kDegreesPerRadian)) {
    warnings.push_back(
        fmt::format("{}: the data set's values spread about {} as widely as those of the "
                    "checkpoint's training: is the data set in {} and the checkpoint in {}?",
                    place, degrees ? "57.3 times" : "1/57.3", degrees ? "degrees" : "radians",
                    degrees ? "radians" : "degrees"));
    return;
  }
  for (const StatisticsPair* pair : {&mean, &std}) {
    size_t at = 0;
    double deviations = 0;
    if (find_far(*pair, at, deviations)) {
      warnings.push_back(fmt::format(
          "{}: the data set's statistics are not the checkpoint's: {} of {} is {:.4g}, in "
          "the checkpoint {:.4g}, {:.1f} standard deviations off: another robot, other units, "
          "or statistics left from an earlier training? `sinew stats {} --compare CHECKPOINT` "
          "shows them all",
          place, pair->statistic, place_of(data, *pair, at), pair->of_dataset[at],
          pair->of_checkpoint[at], deviations, data.path().string()));
      return;
    }
  }
}

// The document of a file below meta/, or null.
io::Json read_meta(const Dataset& data, const char* name) {
  const std::filesystem::path path = data.path() / "meta" / name;
  if (!io::path_exists(path)) {
    return {};
  }
  Result<io::Json> json = io::read_json_file(path);
  return json.ok() ? std::move(json).value() : io::Json();
}

void check_statistics(const Dataset& data, const ProcessorConfig& config, const io::Json& stats,
                      std::vector<std::string>& warnings) {
  const io::Json relative = read_meta(data, "relative_stats.json");
  preprocess::EmbodimentStatistics wanted = config.statistics;
  std::erase_if(wanted.relative_action,
                [&](const auto& entry) { return !relative.contains(entry.first); });
  constexpr std::array<std::string_view, 2> kCompared = {"mean", "std"};
  const auto pairs = pair_statistics(wanted, data.info(), {stats, "stats.json"},
                                     {relative, "relative_stats.json"}, kCompared);
  if (!pairs.ok()) {
    return;  // groups or extents that the data set lacks: errors of the evaluation
  }
  for (size_t i = 0; i + 1 < pairs.value().size(); i += kCompared.size()) {
    check_group(data, pairs.value()[i], pairs.value()[i + 1], warnings);
  }
}

bool differ(double a, double b) {
  constexpr double kTolerance = 0.05;
  return a > 0 && b > 0 && std::abs(a - b) > kTolerance * std::max(a, b);
}

void check_frame_rate(const Dataset& data, const ProcessorConfig& config,
                      const dataset::Episode* episode, std::vector<std::string>& warnings) {
  const double fps = data.info().fps;
  if (episode != nullptr && differ(episode->recorded_fps(), fps)) {
    warnings.push_back(fmt::format(
        "meta/info.json {} {:g} frames a second, the time stamps of episode {} {:.4g}: a chunk "
        "has one row a frame, so a robot that follows {} moves {} than the demonstration",
        data.info().is_fps_assumed ? "does not say the rate, which is taken for" : "says", fps,
        episode->index(), episode->recorded_fps(),
        data.info().is_fps_assumed ? "that" : "info.json",
        fps > episode->recorded_fps() ? "faster" : "slower"));
  }
  const Result<dataset::Info> info = dataset::read_info(data.path());
  if (!info.ok()) {
    return;
  }
  for (const std::string& key : config.modalities.video.keys) {
    const auto camera = data.info().cameras.find(key);
    const auto feature = camera == data.info().cameras.end()
                             ? info.value().features.end()
                             : info.value().features.find(camera->second);
    if (feature != info.value().features.end() && differ(feature->second.fps, fps)) {
      warnings.push_back(fmt::format(
          "camera \"{}\": meta/info.json says that its video has {:g} frames a second and the data "
          "set {:g}{}: frames are taken by number, so they may not belong to the rows they are "
          "shown with",
          key, feature->second.fps, fps, data.info().is_fps_assumed ? " (assumed)" : ""));
    }
  }
}

}  // namespace

std::vector<std::string> check_dataset(const Dataset& data, const ProcessorConfig& config,
                                       int64_t position) {
  std::vector<std::string> warnings = data.info().warnings;
  check_robot(data, config, warnings);
  check_camera_names(data, config.modalities.video.keys, warnings);
  const io::Json stats = read_meta(data, "stats.json");
  check_statistics(data, config, stats, warnings);
  const Result<std::unique_ptr<dataset::Episode>> episode = data.open_episode(position);
  check_frame_rate(data, config, episode.ok() ? episode.value().get() : nullptr, warnings);
  if (episode.ok()) {
    check_camera_colours(data, config.modalities.video.keys, stats, *episode.value(), warnings);
  }
  return warnings;
}

}  // namespace sinew::cli
