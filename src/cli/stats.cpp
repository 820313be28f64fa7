// `sinew stats`: writes meta/stats.json and meta/relative_stats.json of a data set, or shows how a
// checkpoint's statistics differ from them (spec/dataset.md sections 2 to 4).
#include "base/ascii.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/json_text.h"
#include "cli/statistics_comparison.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "dataset/dataset.h"
#include "dataset/info.h"
#include "dataset/statistics.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "preprocess/config/builtin_embodiments.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <utility>

namespace sinew::cli {
namespace {

constexpr std::array<const char*, 6> kNames{"mean", "std", "min", "max", "q01", "q99"};

// The document of a statistics file; an empty object when there is none, or with --refresh.
Result<io::Json> read_existing(const std::filesystem::path& path, bool refresh) {
  if (refresh || !io::path_exists(path)) {
    return io::Json::object();
  }
  SINEW_ASSIGN(io::Json document, io::read_json_file(path));
  if (!document.is_object()) {
    return bad_input("{}: expected an object of features; --refresh writes it anew", path.string());
  }
  return document;
}

bool has_all_statistics(const io::Json& document, const std::string& name) {
  const auto entry = document.find(name);
  return entry != document.end() && entry->is_object() &&
         std::all_of(kNames.begin(), kNames.end(),
                     [&](const char* statistic) { return entry->contains(statistic); });
}

// One statistics file in memory: what it holds, and whether that is new.
struct StatisticsFile {
  std::filesystem::path path;
  io::Json document;
  bool is_new = false;
};

dataset::Progress bar_progress(ProgressBar& bar, const char* label) {
  return [&bar, label](int64_t done, int64_t total) { bar.update(label, done, total); };
}

Result<StatisticsFile> column_statistics(const StatsOptions& options,
                                         const dataset::Dataset& data) {
  StatisticsFile file{data.path() / "meta" / "stats.json", {}, false};
  SINEW_ASSIGN(file.document, read_existing(file.path, options.refresh));
  SINEW_ASSIGN(const dataset::Info info, dataset::read_info(data.path()));
  const bool is_complete =
      std::all_of(info.features.begin(), info.features.end(), [&](const auto& feature) {
        return !feature.second.is_float() || has_all_statistics(file.document, feature.first);
      });
  if (!is_complete || file.document.empty()) {
    ProgressBar bar(options.output.quiet);
    SINEW_ASSIGN(file.document, dataset::compute_stats(data, bar_progress(bar, "statistics")));
    file.is_new = true;
  }
  return file;
}

// Only the relative action keys that `document` lacks.
preprocess::Modalities missing_relative_keys(const preprocess::Modalities& modalities,
                                             const io::Json& document) {
  preprocess::Modalities missing = modalities;
  missing.action.keys.clear();
  missing.action.action_configs.clear();
  const size_t count =
      std::min(modalities.action.keys.size(), modalities.action.action_configs.size());
  for (size_t i = 0; i < count; ++i) {
    const preprocess::ActionConfig& config = modalities.action.action_configs[i];
    if (config.representation == preprocess::ActionRepresentation::kRelative &&
        !has_all_statistics(document, modalities.action.keys[i])) {
      missing.action.keys.push_back(modalities.action.keys[i]);
      missing.action.action_configs.push_back(config);
    }
  }
  return missing;
}

Result<StatisticsFile> relative_statistics(const StatsOptions& options,
                                           const dataset::Dataset& data,
                                           const preprocess::Modalities& modalities) {
  StatisticsFile file{data.path() / "meta" / "relative_stats.json", {}, false};
  SINEW_ASSIGN(file.document, read_existing(file.path, options.refresh));
  const preprocess::Modalities missing = missing_relative_keys(modalities, file.document);
  if (!missing.action.keys.empty()) {
    ProgressBar bar(options.output.quiet);
    SINEW_ASSIGN(io::Json computed, dataset::compute_relative_stats(
                                        data, missing, bar_progress(bar, "relative statistics")));
    file.document.update(computed);
    file.is_new = true;
  }
  return file;
}

// The modality configuration of --modality-config-path: {modality: ...}, or {tag: {modality: ...}}.
Result<preprocess::Modalities> read_modality_file(const StatsOptions& options) {
  SINEW_ASSIGN(const io::Json document, io::read_json_file(options.modality_config_path));
  const io::JsonView root(document, options.modality_config_path);
  SINEW_TRY(root.expect_object());
  if (root.has("action")) {
    if (!options.embodiment_tag.empty()) {
      log_info("notice: --embodiment-tag is ignored: {} configures one robot and names none",
               options.modality_config_path);
    }
    return preprocess::parse_modalities(root);
  }
  const std::vector<std::string> tags = root.keys();
  const std::string wanted = ascii_lower(options.embodiment_tag);
  if (wanted.empty() && tags.size() != 1) {
    return usage_error("{} configures {} embodiments; choose one with --embodiment-tag",
                       options.modality_config_path, tags.size());
  }
  for (const std::string& tag : tags) {
    if (wanted.empty() || ascii_lower(tag) == wanted) {
      SINEW_ASSIGN(const io::JsonView entry, root.at(tag));
      return preprocess::parse_modalities(entry);
    }
  }
  return not_found("{}: no entry for embodiment \"{}\"", options.modality_config_path,
                   options.embodiment_tag);
}

// From the file, or the table of known robots; nothing when neither is named.
Result<std::optional<preprocess::Modalities>> settle_modalities(const StatsOptions& options) {
  if (!options.modality_config_path.empty()) {
    SINEW_ASSIGN(preprocess::Modalities modalities, read_modality_file(options));
    return std::optional(std::move(modalities));
  }
  if (options.embodiment_tag.empty()) {
    log_info(
        "notice: relative_stats.json is left alone: which actions are relative is said by "
        "--modality-config-path, or by --embodiment-tag for the robots that sinew knows");
    return std::optional<preprocess::Modalities>();
  }
  const std::string tag = ascii_lower(options.embodiment_tag);
  const preprocess::BuiltinEmbodiment* known = preprocess::find_builtin_embodiment(tag);
  if (known == nullptr) {
    return not_found(
        "--embodiment-tag {}: no built-in modality configuration; give one with "
        "--modality-config-path",
        options.embodiment_tag);
  }
  return std::optional(preprocess::builtin_modalities(*known));
}

Status write_statistics(const StatisticsFile& file) {
  if (file.is_new) {
    return io::write_file_atomic(file.path, json_text(file.document, 4));
  }
  return {};
}

Status compute(const StatsOptions& options, const dataset::Dataset& data) {
  for (const char* name : {"stats.json", "relative_stats.json"}) {
    SINEW_TRY(io::check_writable(data.path() / "meta" / name));
  }
  SINEW_ASSIGN(const std::optional<preprocess::Modalities> modalities, settle_modalities(options));
  std::vector<StatisticsFile> files;
  SINEW_ASSIGN(StatisticsFile columns, column_statistics(options, data));
  files.push_back(std::move(columns));
  if (modalities) {
    SINEW_ASSIGN(StatisticsFile relative, relative_statistics(options, data, *modalities));
    if (relative.document.empty()) {
      log_info("notice: no action key is relative, so there is no relative_stats.json to write");
    } else {
      files.push_back(std::move(relative));
    }
  }
  Table table({"file", "entries", ""}, {false, true, false});
  io::Json written = io::Json::array();
  for (const StatisticsFile& file : files) {
    SINEW_TRY(write_statistics(file));
    table.add({file.path.string(), std::to_string(file.document.size()),
               file.is_new ? "written" : "kept: complete (--refresh computes it again)"});
    written.push_back({{"path", file.path.string()},
                       {"entries", file.document.size()},
                       {"written", file.is_new}});
  }
  const std::string result =
      options.output.json ? json_text({{"files", written}}, -1) : table.text(has_colour(stdout));
  return print_result(result);
}

Status report_differences(const StatsOptions& options, const std::string& tag,
                          const std::vector<StatisticsDifference>& differences) {
  Table table({"group", "statistic", "at", "data set", "checkpoint", "std. deviations"},
              {false, false, true, true, true, true});
  io::Json list = io::Json::array();
  double largest = 0;
  for (const StatisticsDifference& row : differences) {
    table.add({row.modality + "." + row.key, row.statistic, std::to_string(row.dim),
               fmt::format("{:.6g}", row.of_dataset), fmt::format("{:.6g}", row.of_checkpoint),
               fmt::format("{:.3g}", row.deviations)});
    list.push_back({{"modality", row.modality},
                    {"key", row.key},
                    {"statistic", row.statistic},
                    {"dim", row.dim},
                    {"dataset", row.of_dataset},
                    {"checkpoint", row.of_checkpoint},
                    {"deviations", row.deviations}});
    largest = std::max(largest, row.deviations);
  }
  const std::string result =
      options.output.json
          ? json_text({{"embodiment_tag", tag}, {"largest", largest}, {"differences", list}}, -1)
          : fmt::format("{}\nlargest difference of {}: {:.3g} standard deviations\n",
                        table.text(has_colour(stdout)), tag, largest);
  SINEW_TRY(print_result(result));
  if (options.max_difference && largest > *options.max_difference) {
    return error(Code::kThreshold,
                 "the statistics differ by {:.3g} standard deviations, --max-difference is {:.3g}",
                 largest, *options.max_difference);
  }
  return {};
}

Status compare(const StatsOptions& options, const dataset::Dataset& data) {
  SINEW_ASSIGN(const io::Checkpoint checkpoint, io::Checkpoint::open(options.compare));
  SINEW_ASSIGN(const preprocess::ProcessorConfig config,
               preprocess::resolve_processor_config(checkpoint, {options.embodiment_tag}));
  SINEW_ASSIGN(const StatisticsFile columns, column_statistics(options, data));
  StatisticsFile relative{data.path() / "meta" / "relative_stats.json", io::Json::object(), false};
  if (!config.statistics.relative_action.empty()) {
    SINEW_ASSIGN(relative, relative_statistics(options, data, config.modalities));
  }
  SINEW_ASSIGN(
      const std::vector<StatisticsDifference> differences,
      compare_statistics(config.statistics, data.info(), {columns.document, columns.path.string()},
                         {relative.document, relative.path.string()}));
  return report_differences(options, config.embodiment_tag, differences);
}

}  // namespace

Status run_stats(const StatsOptions& options, const FlagList&) {
  if (options.dataset_path.empty()) {
    return usage_error("DATASET is missing: name the folder of a LeRobot data set");
  }
  if (options.max_difference && options.compare.empty()) {
    return usage_error("--max-difference is a limit of --compare CHECKPOINT, which is missing");
  }
  if (!options.compare.empty() && !options.modality_config_path.empty()) {
    return usage_error(
        "--modality-config-path: with --compare the checkpoint's own configuration decides; drop "
        "one of the two");
  }
  SINEW_ASSIGN(const std::unique_ptr<dataset::Dataset> data,
               dataset::Dataset::open(options.dataset_path));
  return options.compare.empty() ? compute(options, *data) : compare(options, *data);
}

}  // namespace sinew::cli
