// LeRobot v3.0: many episodes a data file, videos concatenated, tables in Parquet (spec/dataset.md
// section 5).
#include "base/error.h"
#include "dataset/lerobot.h"
#include "io/file.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace sinew::dataset {
namespace {

constexpr double kTimeTolerance = 1e-4;  // seconds; LeRobot's default

// Where a camera of an episode lies in a concatenated video.
struct VideoPlace {
  int64_t chunk_index = 0;
  int64_t file_index = 0;
  double from = 0;  // seconds
  double to = 0;
};

// The episodes table beyond what EpisodeEntry holds; all by position.
struct EpisodePlaces {
  std::vector<int64_t> data_chunk, data_file;
  std::map<std::string, std::vector<VideoPlace>> videos;  // by feature
};

class LeRobotV3 final : public Dataset {
 public:
  LeRobotV3(LeRobotMeta meta, EpisodePlaces places, const DatasetOptions& options)
      : meta_(std::move(meta)), places_(std::move(places)) {
    options_ = options;
  }

  const DatasetInfo& info() const override { return meta_.summary; }

  const std::filesystem::path& path() const override { return meta_.folder; }

  Result<std::unique_ptr<Episode>> open_episode(int64_t position) const override;

 private:
  Result<std::vector<double>> timestamps(const ParquetFile& file, RowRange rows) const;
  Result<std::unique_ptr<FrameSource>> open_camera(size_t position, const EpisodeRows& rows,
                                                   const std::string& feature) const;
  Result<std::unique_ptr<FrameSource>> open_video(const VideoPlace& place, const EpisodeRows& rows,
                                                  const std::string& feature) const;
  Result<std::unique_ptr<VideoDecoder>> open_decoder(const std::filesystem::path& path) const;

  LeRobotMeta meta_;
  EpisodePlaces places_;
  // Indices of videos opened so far: their packets are read once, not once an episode.
  mutable std::mutex mutex_;
  mutable std::map<std::filesystem::path, std::unique_ptr<const VideoIndex>> indices_;
};

Result<std::unique_ptr<Episode>> LeRobotV3::open_episode(int64_t position) const {
  if (position < 0 || position >= static_cast<int64_t>(meta_.episodes.size())) {
    return not_found("{}: no episode {}; it has {}", meta_.folder.string(), position,
                     meta_.episodes.size());
  }
  const auto place = static_cast<size_t>(position);
  const EpisodeEntry& entry = meta_.episodes[place];
  PathFields fields;
  fields.chunk_index = places_.data_chunk[place];
  fields.file_index = places_.data_file[place];
  SINEW_ASSIGN(const std::filesystem::path relative, meta_.info.data_path.format(fields));
  EpisodeRows rows;
  rows.data_file = meta_.folder / relative;
  SINEW_ASSIGN(const ParquetFile file, ParquetFile::open(rows.data_file));
  SINEW_ASSIGN(rows.rows, file.rows_equal("episode_index", entry.episode_index));
  rows.length = std::min(rows.rows.count, entry.length);
  SINEW_ASSIGN(rows.timestamps, timestamps(file, {rows.rows.first, rows.length}));
  return make_episode(meta_, entry, file, rows, [this, place, rows](const std::string& feature) {
    return open_camera(place, rows, feature);
  });
}

Result<std::vector<double>> LeRobotV3::timestamps(const ParquetFile& file, RowRange rows) const {
  std::vector<double> times;
  if (places_.videos.empty()) {
    return times;
  }
  if (!file.has_column("timestamp")) {
    for (int64_t row = 0; row < rows.count; ++row) {
      times.push_back(static_cast<double>(row) / meta_.info.fps);
    }
    return times;
  }
  SINEW_ASSIGN(std::vector<Column> columns, file.read({"timestamp"}, rows));
  if (columns[0].kind != Column::Kind::kNumbers ||
      columns[0].numbers.size() != static_cast<size_t>(rows.count)) {
    return bad_input("{}: column 'timestamp' does not hold one number a row", file.where());
  }
  return std::move(columns[0].numbers);
}

Result<std::unique_ptr<FrameSource>> LeRobotV3::open_camera(size_t position,
                                                            const EpisodeRows& rows,
                                                            const std::string& feature) const {
  const auto found = meta_.info.features.find(feature);
  if (found != meta_.info.features.end() && found->second.dtype == "image") {
    return open_embedded_frames(rows.data_file, feature, {rows.rows.first, rows.length});
  }
  const auto video = places_.videos.find(feature);
  if (video == places_.videos.end()) {
    return not_found("{}: the table of episodes has no columns 'videos/{}/...'",
                     (meta_.folder / "meta" / "episodes").string(), feature);
  }
  return open_video(video->second[position], rows, feature);
}

Result<std::unique_ptr<VideoDecoder>> LeRobotV3::open_decoder(
    const std::filesystem::path& path) const {
  const VideoIndex* known = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = indices_.find(path);
    known = found == indices_.end() ? nullptr : found->second.get();
  }
  SINEW_ASSIGN(std::unique_ptr<VideoDecoder> decoder, VideoDecoder::open(path, known));
  if (known == nullptr) {
    auto index = std::make_unique<const VideoIndex>(decoder->index());
    const std::lock_guard lock(mutex_);
    indices_.try_emplace(path, std::move(index));
  }
  return decoder;
}

Result<std::unique_ptr<FrameSource>> LeRobotV3::open_video(const VideoPlace& place,
                                                           const EpisodeRows& rows,
                                                           const std::string& feature) const {
  if (!meta_.info.video_path) {
    return bad_input("{}/meta/info.json: has no video_path, and camera '{}' is a video",
                     meta_.folder.string(), feature);
  }
  PathFields fields;
  fields.video_key = feature;
  fields.chunk_index = place.chunk_index;
  fields.file_index = place.file_index;
  SINEW_ASSIGN(const std::filesystem::path relative, meta_.info.video_path->format(fields));
  const std::filesystem::path path = meta_.folder / relative;
  SINEW_ASSIGN(std::unique_ptr<VideoDecoder> decoder, open_decoder(path));
  const VideoIndex& index = decoder->index();
  const double half = 0.5 / meta_.info.fps;
  int64_t frames = 0;
  for (int64_t f = 0; f < index.frames(); ++f) {
    frames += index.seconds(f) >= place.from - half && index.seconds(f) < place.to - half ? 1 : 0;
  }
  if (frames != rows.rows.count && frames != rows.length) {
    return bad_input("{}: camera '{}' has {} frames from {} s to {} s, the episode has {} rows",
                     path.string(), feature, frames, place.from, place.to, rows.rows.count);
  }
  std::vector<int64_t> frame_of_row;
  for (int64_t row = 0; row < rows.length; ++row) {
    const double time = place.from + rows.timestamps[static_cast<size_t>(row)];
    const int64_t frame = index.nearest(time);
    if (!(std::abs(index.seconds(frame) - time) <= kTimeTolerance)) {
      return bad_input("{}: camera '{}': row {} is at {} s, and the nearest frame is at {} s",
                       path.string(), feature, row, time, index.seconds(frame));
    }
    frame_of_row.push_back(frame);
  }
  return make_video_frames(std::move(decoder), std::move(frame_of_row));
}

// One file of meta/episodes, read column by column.
class EpisodesFile {
 public:
  explicit EpisodesFile(ParquetFile file) : file_(std::move(file)) {}

  int64_t rows() const { return file_.rows(); }

  bool has(const std::string& column) const { return file_.has_column(column); }

  Result<std::vector<int64_t>> integers(const std::string& column, int64_t high) const {
    SINEW_ASSIGN(const std::vector<Column> cells, file_.read({column}, {0, file_.rows()}));
    std::vector<int64_t> out;
    for (int64_t row = 0; row < cells[0].rows; ++row) {
      SINEW_ASSIGN(const int64_t value, integer_at(cells[0], row, file_.where()));
      if (value < 0 || value > high) {
        return bad_input("{}: column '{}', row {}: {} is not within 0 and {}", file_.where(),
                         column, row, value, high);
      }
      out.push_back(value);
    }
    return out;
  }

  Result<std::vector<double>> times(const std::string& column) const {
    SINEW_ASSIGN(std::vector<Column> cells, file_.read({column}, {0, file_.rows()}));
    if (cells[0].numbers.size() != static_cast<size_t>(file_.rows())) {
      return bad_input("{}: column '{}' does not hold one number a row", file_.where(), column);
    }
    for (const double time : cells[0].numbers) {
      if (!std::isfinite(time)) {
        return bad_input("{}: column '{}' holds {}, expected seconds", file_.where(), column, time);
      }
    }
    return std::move(cells[0].numbers);
  }

  Result<std::vector<std::vector<std::string>>> text_lists(const std::string& column) const {
    SINEW_ASSIGN(std::vector<Column> cells, file_.read({column}, {0, file_.rows()}));
    if (cells[0].kind != Column::Kind::kTextLists) {
      return bad_input("{}: column '{}' does not hold lists of texts", file_.where(), column);
    }
    return std::move(cells[0].text_lists);
  }

 private:
  ParquetFile file_;
};

Status add_videos(const EpisodesFile& file, const std::string& feature, EpisodePlaces& places) {
  const std::string prefix = "videos/" + feature + "/";
  if (!file.has(prefix + "file_index")) {
    return {};
  }
  SINEW_ASSIGN(const auto chunks, file.integers(prefix + "chunk_index", kMaxEpisodeIndex));
  SINEW_ASSIGN(const auto files, file.integers(prefix + "file_index", kMaxEpisodeIndex));
  SINEW_ASSIGN(const auto from, file.times(prefix + "from_timestamp"));
  SINEW_ASSIGN(const auto to, file.times(prefix + "to_timestamp"));
  std::vector<VideoPlace>& videos = places.videos[feature];
  for (size_t i = 0; i < chunks.size(); ++i) {
    videos.push_back({chunks[i], files[i], from[i], to[i]});
  }
  return {};
}

Status add_episodes(const std::filesystem::path& path, LeRobotMeta& meta, EpisodePlaces& places) {
  SINEW_ASSIGN(ParquetFile opened, ParquetFile::open(path));
  const EpisodesFile file(std::move(opened));
  SINEW_ASSIGN(const auto indices, file.integers("episode_index", kMaxEpisodeIndex));
  SINEW_ASSIGN(const auto lengths, file.integers("length", kMaxEpisodeLength));
  SINEW_ASSIGN(const auto data_chunk, file.integers("data/chunk_index", kMaxEpisodeIndex));
  SINEW_ASSIGN(const auto data_file, file.integers("data/file_index", kMaxEpisodeIndex));
  std::vector<std::vector<std::string>> tasks(indices.size());
  if (file.has("tasks") && !indices.empty()) {
    SINEW_ASSIGN(tasks, file.text_lists("tasks"));
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    meta.episodes.push_back({indices[i], lengths[i], std::move(tasks[i]), {}});
  }
  places.data_chunk.insert(places.data_chunk.end(), data_chunk.begin(), data_chunk.end());
  places.data_file.insert(places.data_file.end(), data_file.begin(), data_file.end());
  for (const auto& [name, feature] : meta.info.features) {
    if (feature.dtype == "video") {
      SINEW_TRY(add_videos(file, name, places));
    }
  }
  return {};
}

Status read_episodes(LeRobotMeta& meta, EpisodePlaces& places) {
  const std::filesystem::path folder = meta.folder / "meta" / "episodes";
  SINEW_ASSIGN(const std::vector<std::filesystem::path> files, list_parquet_files(folder));
  for (const std::filesystem::path& path : files) {
    SINEW_TRY(add_episodes(path, meta, places));
  }
  if (meta.episodes.empty()) {
    return bad_input("{}: lists no episodes", folder.string());
  }
  std::set<int64_t> seen;
  for (const EpisodeEntry& entry : meta.episodes) {
    if (!seen.insert(entry.episode_index).second) {
      return bad_input("{}: episode_index {} occurs twice", folder.string(), entry.episode_index);
    }
  }
  for (const auto& [feature, videos] : places.videos) {
    if (videos.size() != meta.episodes.size()) {
      return bad_input("{}: only some files have the columns 'videos/{}/...'", folder.string(),
                       feature);
    }
  }
  return {};
}

// meta/tasks.parquet: the text is the table's pandas index, stored under one of two names. Data
// sets in between have the tasks.jsonl of v2.
Status read_tasks(LeRobotMeta& meta) {
  const std::filesystem::path path = meta.folder / "meta" / "tasks.parquet";
  const std::filesystem::path lines = meta.folder / "meta" / "tasks.jsonl";
  if (!io::path_exists(path) && io::path_exists(lines)) {
    SINEW_ASSIGN(const std::string text, io::read_file(lines));
    SINEW_ASSIGN(meta.tasks, parse_tasks(text, lines.string()));
    meta.summary.notices.emplace_back("meta/tasks.parquet is missing: tasks.jsonl was read");
    return {};
  }
  SINEW_ASSIGN(const ParquetFile file, ParquetFile::open(path));
  const std::string column = file.has_column("task") ? "task" : "__index_level_0__";
  SINEW_ASSIGN(const std::vector<Column> cells,
               file.read({"task_index", column}, {0, file.rows()}));
  for (int64_t row = 0; row < file.rows(); ++row) {
    SINEW_ASSIGN(const int64_t index, integer_at(cells[0], row, file.where()));
    if (cells[1].kind != Column::Kind::kTexts) {
      return bad_input("{}: column '{}' does not hold texts", file.where(), column);
    }
    meta.tasks[index] = cells[1].texts[static_cast<size_t>(row)];
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_v3(const std::filesystem::path& folder, Info info,
                                         const DatasetOptions& options) {
  LeRobotMeta meta;
  meta.folder = folder;
  meta.info = std::move(info);
  EpisodePlaces places;
  SINEW_TRY(read_episodes(meta, places));
  SINEW_TRY(read_tasks(meta));
  SINEW_TRY(finish_meta(meta));
  return std::unique_ptr<Dataset>(
      std::make_unique<LeRobotV3>(std::move(meta), std::move(places), options));
}

}  // namespace sinew::dataset
