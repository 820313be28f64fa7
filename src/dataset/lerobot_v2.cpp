// LeRobot v2.0 and v2.1: one data file and one video a camera for every episode (spec/dataset.md
// section 1).
#include "base/error.h"
#include "dataset/lerobot.h"
#include "io/file.h"

#include <algorithm>
#include <utility>

namespace sinew::dataset {
namespace {

class LeRobotV2 final : public Dataset {
 public:
  LeRobotV2(LeRobotMeta meta, const DatasetOptions& options) : meta_(std::move(meta)) {
    options_ = options;
  }

  const DatasetInfo& info() const override { return meta_.summary; }

  const std::filesystem::path& path() const override { return meta_.folder; }

  Result<std::unique_ptr<Episode>> open_episode(int64_t position) const override;

 private:
  PathFields fields_of(const EpisodeEntry& entry) const;
  Result<std::unique_ptr<FrameSource>> open_camera(const EpisodeEntry& entry,
                                                   const EpisodeRows& rows,
                                                   const std::string& feature) const;

  LeRobotMeta meta_;
};

PathFields LeRobotV2::fields_of(const EpisodeEntry& entry) const {
  PathFields fields;
  fields.episode_index = entry.episode_index;
  fields.episode_chunk = entry.episode_index / meta_.info.chunks_size;
  return fields;
}

Result<std::unique_ptr<Episode>> LeRobotV2::open_episode(int64_t position) const {
  if (position < 0 || position >= static_cast<int64_t>(meta_.episodes.size())) {
    return not_found("{}: no episode {}; it has {}", meta_.folder.string(), position,
                     meta_.episodes.size());
  }
  const EpisodeEntry& entry = meta_.episodes[static_cast<size_t>(position)];
  SINEW_ASSIGN(const std::filesystem::path relative, meta_.info.data_path.format(fields_of(entry)));
  EpisodeRows rows;
  rows.data_file = meta_.folder / relative;
  SINEW_ASSIGN(const ParquetFile file, ParquetFile::open(rows.data_file));
  rows.rows = {0, file.rows()};
  rows.length = std::min(file.rows(), entry.length);
  return make_episode(meta_, entry, file, rows, [this, &entry, rows](const std::string& feature) {
    return open_camera(entry, rows, feature);
  });
}

Result<std::unique_ptr<FrameSource>> LeRobotV2::open_camera(const EpisodeEntry& entry,
                                                            const EpisodeRows& rows,
                                                            const std::string& feature) const {
  const auto found = meta_.info.features.find(feature);
  if (found != meta_.info.features.end() && found->second.dtype == "image") {
    return open_embedded_frames(rows.data_file, feature, {rows.rows.first, rows.length});
  }
  if (!meta_.info.video_path) {
    return bad_input("{}/meta/info.json: has no video_path, and camera '{}' is a video",
                     meta_.folder.string(), feature);
  }
  PathFields fields = fields_of(entry);
  fields.video_key = feature;
  SINEW_ASSIGN(const std::filesystem::path relative, meta_.info.video_path->format(fields));
  SINEW_ASSIGN(std::unique_ptr<VideoDecoder> decoder, VideoDecoder::open(meta_.folder / relative));
  const int64_t frames = decoder->index().frames();
  if (frames != rows.rows.count && frames != rows.length) {
    return bad_input("{}: camera '{}' of episode {} has {} frames, its data file has {} rows",
                     (meta_.folder / relative).string(), feature, entry.episode_index, frames,
                     rows.rows.count);
  }
  return make_video_frames(std::move(decoder), {});
}

Status check_uses(const PathTemplate& path, std::initializer_list<const char*> fields,
                  const char* key, const std::filesystem::path& folder) {
  for (const char* field : fields) {
    if (!path.uses(field)) {
      return bad_input("{}/meta/info.json: {} has no {{{}}}: every episode would be the same file",
                       folder.string(), key, field);
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_v2(const std::filesystem::path& folder, Info info,
                                         const DatasetOptions& options) {
  SINEW_TRY(check_uses(info.data_path, {"episode_index"}, "data_path", folder));
  if (info.video_path) {
    SINEW_TRY(check_uses(*info.video_path, {"episode_index", "video_key"}, "video_path", folder));
  }
  LeRobotMeta meta;
  meta.folder = folder;
  meta.info = std::move(info);
  const std::filesystem::path episodes = folder / "meta" / "episodes.jsonl";
  SINEW_ASSIGN(const std::string episodes_text, io::read_file(episodes));
  SINEW_ASSIGN(meta.episodes, parse_episodes(episodes_text, episodes.string()));
  const std::filesystem::path tasks = folder / "meta" / "tasks.jsonl";
  SINEW_ASSIGN(const std::string tasks_text, io::read_file(tasks));
  SINEW_ASSIGN(meta.tasks, parse_tasks(tasks_text, tasks.string()));
  SINEW_TRY(finish_meta(meta));
  return std::unique_ptr<Dataset>(std::make_unique<LeRobotV2>(std::move(meta), options));
}

}  // namespace sinew::dataset
