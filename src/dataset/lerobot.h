// What the readers of both layouts share: the tables read at open, and an episode over columns and
// frame sources (spec/dataset.md sections 1.5 to 1.8).
#pragma once

#include "dataset/dataset.h"
#include "dataset/frames.h"
#include "dataset/info.h"
#include "dataset/meta.h"
#include "dataset/parquet_table.h"

#include "sinew/result.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sinew::dataset {

// A data set's metadata; immutable once its reader has been constructed.
struct LeRobotMeta {
  std::filesystem::path folder;
  Info info;
  TaskTable tasks;
  std::vector<EpisodeEntry> episodes;  // by position
  DatasetInfo summary;
};

// Reads modality.json, or stands in for it (v3), and completes `meta.summary` from the other
// members, notices included.
Status finish_meta(LeRobotMeta& meta);

// "a, b" of the keys of a map, for messages that say what exists.
template <class Map>
std::string list_keys(const Map& map) {
  std::string text;
  for (const auto& [key, value] : map) {
    text += (text.empty() ? "" : ", ") + key;
  }
  return text.empty() ? "none" : text;
}

// Where the rows of an open episode are.
struct EpisodeRows {
  std::filesystem::path data_file;
  RowRange rows;                   // in the data file, not yet cut to the claimed length
  int64_t length = 0;              // min(rows.count, claimed length)
  std::vector<double> timestamps;  // [length] seconds, v3 with videos only
};

// Opens one camera feature of an episode.
using CameraOpener =
    std::function<Result<std::unique_ptr<FrameSource>>(const std::string& feature)>;

// Reads the columns that the groups and annotations of `meta` name. `meta` and `entry` must outlive
// the episode.
Result<std::unique_ptr<Episode>> make_episode(const LeRobotMeta& meta, const EpisodeEntry& entry,
                                              const ParquetFile& file, const EpisodeRows& rows,
                                              CameraOpener open_camera);

Result<std::unique_ptr<Dataset>> open_v2(const std::filesystem::path& folder, Info info,
                                         const DatasetOptions& options);
Result<std::unique_ptr<Dataset>> open_v3(const std::filesystem::path& folder, Info info,
                                         const DatasetOptions& options);

}  // namespace sinew::dataset
