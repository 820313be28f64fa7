// Opening a data set by its version, and the check of a policy's modalities against it.
#include "dataset/dataset.h"

#include "base/error.h"
#include "dataset/lerobot.h"
#include "dataset/modality_json.h"
#include "io/file.h"
#include "io/json.h"

#include <utility>

namespace sinew::dataset {
namespace {

template <class Groups>
Status check_keys(const preprocess::ModalityConfig& wanted, const Groups& groups, const char* what,
                  const std::filesystem::path& folder) {
  for (const std::string& key : wanted.keys) {
    if (!groups.contains(key)) {
      return bad_input("{}: the policy wants {} '{}', which meta/modality.json lacks; it has {}",
                       folder.string(), what, key, list_keys(groups));
    }
  }
  return {};
}

constexpr std::string_view kAnnotation = "annotation.";

Status check_language(const std::string& key, const DatasetInfo& info,
                      const std::filesystem::path& folder) {
  if (key == "task" || key == "sub_task") {
    return {};
  }
  if (!key.starts_with(kAnnotation)) {
    return bad_input(
        "{}: the policy wants language '{}'; annotation.<name>, task and sub_task are "
        "known",
        folder.string(), key);
  }
  if (!info.annotations.contains(key.substr(kAnnotation.size()))) {
    return bad_input(
        "{}: the policy wants language '{}', which meta/modality.json lacks; its "
        "annotations are {}",
        folder.string(), key, list_keys(info.annotations));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Dataset>> Dataset::open(const std::filesystem::path& folder,
                                               const DatasetOptions& options) {
  SINEW_ASSIGN(Info info, read_info(folder));
  return info.layout == Info::Layout::kV2 ? open_v2(folder, std::move(info), options)
                                          : open_v3(folder, std::move(info), options);
}

Status Dataset::check_modalities(const preprocess::Modalities& modalities) const {
  SINEW_TRY(check_keys(modalities.video, info().cameras, "camera", path()));
  SINEW_TRY(check_keys(modalities.state, info().state, "state group", path()));
  SINEW_TRY(check_keys(modalities.action, info().action, "action group", path()));
  for (const std::string& key : modalities.language.keys) {
    SINEW_TRY(check_language(key, info(), path()));
  }
  return {};
}

Status finish_meta(LeRobotMeta& meta) {
  DatasetInfo& summary = meta.summary;
  summary.version = meta.info.version;
  summary.fps = meta.info.fps;
  summary.is_fps_assumed = meta.info.is_fps_assumed;
  if (summary.is_fps_assumed) {
    summary.warnings.push_back(fmt::format(
        "{}: \"fps\" is missing: {:g} frames a second are assumed; add the rate of the recording",
        (meta.folder / "meta" / "info.json").string(), summary.fps));
  }
  summary.robot_type = meta.info.robot_type;
  summary.episodes = static_cast<int64_t>(meta.episodes.size());
  int64_t untold = 0;
  for (const EpisodeEntry& episode : meta.episodes) {
    summary.frames += episode.length;
    untold += episode.tasks.empty() ? 1 : 0;
  }
  if (untold > 0) {
    summary.notices.push_back(
        fmt::format("{} of {} episodes list no tasks: their text for the language key 'task' is "
                    "empty",
                    untold, meta.episodes.size()));
  }
  if (!io::path_exists(meta.folder / "meta" / "stats.json")) {
    summary.notices.push_back(fmt::format(
        "meta/stats.json is missing: the original's loader wants it, and `sinew stats {}` makes it",
        meta.folder.string()));
  }
  const std::filesystem::path path = meta.folder / "meta" / "modality.json";
  if (io::path_exists(path)) {
    SINEW_ASSIGN(const io::Json json, io::read_json_file(path));
    return parse_modality({json, path.string()}, meta.info, summary);
  }
  if (meta.info.layout == Info::Layout::kV2) {
    return not_found(
        "{} is missing: it says which slices of the columns are the policy's state "
        "and action groups, and which features are its cameras",
        path.string());
  }
  synthesise_modality(meta.info, summary);
  return {};
}

}  // namespace sinew::dataset
