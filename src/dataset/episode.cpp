// An episode over columns and frame sources: step extraction, language, groups.
#include "base/error.h"
#include "dataset/lerobot.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

namespace sinew::dataset {
namespace {

constexpr std::string_view kAnnotation = "annotation.";

// A column of numbers as the policy takes them.
struct FloatColumn {
  int64_t dims = 1;
  bool is_array = false;
  std::vector<float> values;  // [rows, dims]
};

// Beyond the range of f32 becomes infinity, as NumPy casts (the plain cast would be undefined).
float to_f32(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (std::isnan(value) || std::abs(value) <= kLargest) {
    return static_cast<float>(value);
  }
  return std::copysign(std::numeric_limits<float>::infinity(), value < 0 ? -1.0F : 1.0F);
}

FloatColumn float_column(const Column& column) {
  FloatColumn out{column.width, column.is_array, {}};
  out.values.resize(column.numbers.size());
  std::transform(column.numbers.begin(), column.numbers.end(), out.values.begin(), to_f32);
  return out;
}

class TableEpisode final : public Episode {
 public:
  TableEpisode(const LeRobotMeta& meta, const EpisodeEntry& entry, std::string where,
               int64_t length, CameraOpener open_camera)
      : meta_(meta),
        entry_(entry),
        where_(std::move(where)),
        length_(length),
        open_camera_(std::move(open_camera)) {}

  Status read_columns(const ParquetFile& file, RowRange rows);

  int64_t length() const override { return length_; }

  int64_t index() const override { return entry_.episode_index; }

  using Episode::language;
  Result<std::string> language(std::string_view key, int64_t row, int64_t action_span) override;
  Result<preprocess::Image> frame(std::string_view camera, int64_t row) override;

  double recorded_fps() const override { return recorded_fps_; }

  size_t column_bytes() const override;
  size_t video_bytes() const override;

 protected:
  Result<Step::Values> values(Kind kind, std::string_view group,
                              std::span<const int64_t> rows) override;

 private:
  Status check_row(int64_t row) const;
  Result<std::string> annotation(const std::string& name, int64_t row) const;
  std::string sub_task(int64_t row, int64_t action_span) const;

  const LeRobotMeta& meta_;
  const EpisodeEntry& entry_;
  std::string where_;  // the data file
  int64_t length_;
  double recorded_fps_ = 0;
  std::map<std::string, FloatColumn> floats_;                    // by column
  std::map<std::string, std::vector<int64_t>> indices_;          // annotation columns
  std::map<std::string, std::unique_ptr<FrameSource>> cameras_;  // by feature, opened on demand
  CameraOpener open_camera_;
  std::vector<std::string> columns_;  // of the file, for messages
};

// One over the median distance of the time stamps; see Episode::recorded_fps. Nothing else needs
// the column here, so one that cannot be read says nothing.
double fps_of_timestamps(const ParquetFile& file, RowRange rows) {
  if (!file.has_column("timestamp") || rows.count < 3) {
    return 0;
  }
  const Result<std::vector<Column>> columns = file.read({"timestamp"}, rows);
  if (!columns.ok() || columns.value().front().kind != Column::Kind::kNumbers ||
      columns.value().front().width != 1) {
    return 0;
  }
  const std::vector<double>& times = columns.value().front().numbers;
  std::vector<double> distances;
  for (size_t i = 1; i < times.size(); ++i) {
    distances.push_back(times[i] - times[i - 1]);
  }
  if (!std::ranges::all_of(distances, [](double d) { return std::isfinite(d); })) {
    return 0;
  }
  const auto middle = distances.begin() + std::ssize(distances) / 2;
  std::ranges::nth_element(distances, middle);
  return *middle > 0 ? 1 / *middle : 0;
}

Status TableEpisode::read_columns(const ParquetFile& file, RowRange rows) {
  recorded_fps_ = fps_of_timestamps(file, rows);
  columns_ = file.columns();
  const DatasetInfo& summary = meta_.summary;
  std::vector<std::string> wanted;
  // A column that modality.json names and the file lacks is an error only where it is used.
  const auto want = [&](const std::string& column) {
    if (file.has_column(column) &&
        std::find(wanted.begin(), wanted.end(), column) == wanted.end()) {
      wanted.push_back(column);
    }
  };
  for (const auto* groups : {&summary.state, &summary.action}) {
    for (const auto& [name, group] : *groups) {
      want(group.column);
    }
  }
  const size_t float_columns = wanted.size();
  for (const auto& [name, column] : summary.annotations) {
    want(column);
  }
  SINEW_ASSIGN(std::vector<Column> columns, file.read(wanted, rows));
  for (size_t i = 0; i < columns.size(); ++i) {
    const Column& column = columns[i];
    if (column.kind != Column::Kind::kNumbers) {
      return bad_input("{}: column '{}' holds texts, expected numbers", where_, column.name);
    }
    if (i < float_columns) {
      floats_[column.name] = float_column(column);
    }
    // An annotation may also be a group's column.
    const bool is_annotation =
        std::any_of(summary.annotations.begin(), summary.annotations.end(),
                    [&](const auto& annotation) { return annotation.second == column.name; });
    for (int64_t row = 0; is_annotation && row < column.rows; ++row) {
      SINEW_ASSIGN(const int64_t index, integer_at(column, row, where_));
      indices_[column.name].push_back(index);
    }
  }
  return {};
}

Status TableEpisode::check_row(int64_t row) const {
  if (row < 0 || row >= length_) {
    return not_found("{}: row {} of episode {}, which has {} rows", where_, row,
                     entry_.episode_index, length_);
  }
  return {};
}

Result<Step::Values> TableEpisode::values(Kind kind, std::string_view group,
                                          std::span<const int64_t> rows) {
  const char* what = kind == Kind::kState ? "state" : "action";
  const auto& groups = kind == Kind::kState ? meta_.summary.state : meta_.summary.action;
  const auto found = groups.find(std::string(group));
  if (found == groups.end()) {
    return not_found("{}: meta/modality.json has no {} group '{}'; it has {}",
                     meta_.folder.string(), what, group, list_keys(groups));
  }
  const GroupInfo& slice = found->second;
  const auto column = floats_.find(slice.column);
  if (column == floats_.end()) {
    return not_found("{}: no column '{}' for {} group '{}'; it has {}", where_, slice.column, what,
                     group, fmt::join(columns_, ", "));
  }
  const FloatColumn& source = column->second;
  // A column of scalars is taken as it is, whatever the slice says.
  const int64_t start = source.is_array ? slice.start : 0;
  const int64_t end = source.is_array ? slice.end : 1;
  if (end > source.dims) {
    return bad_input(
        "{}: {} group '{}' is the slice [{}, {}) of column '{}', which has {} values "
        "a row",
        where_, what, group, start, end, slice.column, source.dims);
  }
  Step::Values out{std::string(group), static_cast<int64_t>(rows.size()), end - start, {}};
  out.values.reserve(rows.size() * static_cast<size_t>(out.dims));
  for (const int64_t row : rows) {
    SINEW_TRY(check_row(row));
    for (int64_t d = start; d < end; ++d) {
      const float value = source.values[static_cast<size_t>(row * source.dims + d)];
      if (!std::isfinite(value)) {
        return bad_input("{}: column '{}', row {}, dimension {} is {}: expected a finite number",
                         where_, slice.column, row, d, value);
      }
      out.values.push_back(value);
    }
  }
  return out;
}

Result<std::string> TableEpisode::annotation(const std::string& name, int64_t row) const {
  const auto found = meta_.summary.annotations.find(name);
  if (found == meta_.summary.annotations.end()) {
    return not_found("{}: meta/modality.json has no annotation '{}'; it has {}",
                     meta_.folder.string(), name, list_keys(meta_.summary.annotations));
  }
  const auto column = indices_.find(found->second);
  if (column == indices_.end()) {
    return not_found("{}: no column '{}' for annotation '{}'; it has {}", where_, found->second,
                     name, fmt::join(columns_, ", "));
  }
  const int64_t index = column->second[static_cast<size_t>(row)];
  const auto text = meta_.tasks.find(index);
  if (text == meta_.tasks.end()) {
    return bad_input("{}: column '{}', row {} refers to task {}, which the table of tasks lacks",
                     where_, found->second, row, index);
  }
  return text->second;
}

std::string TableEpisode::sub_task(int64_t row, int64_t action_span) const {
  const SubTask* last = nullptr;
  for (const SubTask& candidate : entry_.sub_tasks) {
    const bool offered = row >= candidate.start - action_span / 2 && row < candidate.end;
    if (offered && (last == nullptr || candidate.start >= last->start)) {
      last = &candidate;
    }
  }
  return last == nullptr ? "" : last->text;
}

Result<std::string> TableEpisode::language(std::string_view key, int64_t row, int64_t action_span) {
  SINEW_TRY(check_row(row));
  if (key.starts_with(kAnnotation)) {
    return annotation(std::string(key.substr(kAnnotation.size())), row);
  }
  if (key == "task") {
    return entry_.tasks.empty() ? std::string() : entry_.tasks.front();
  }
  if (key == "sub_task") {
    return sub_task(row, action_span);
  }
  return bad_input("language key '{}': annotation.<name>, task and sub_task are known", key);
}

Result<preprocess::Image> TableEpisode::frame(std::string_view camera, int64_t row) {
  SINEW_TRY(check_row(row));
  const auto found = meta_.summary.cameras.find(std::string(camera));
  if (found == meta_.summary.cameras.end()) {
    return not_found("{}: meta/modality.json has no camera '{}'; it has {}", meta_.folder.string(),
                     camera, list_keys(meta_.summary.cameras));
  }
  std::unique_ptr<FrameSource>& source = cameras_[found->second];
  if (source == nullptr) {
    SINEW_ASSIGN(source, open_camera_(found->second));
  }
  return source->frame(row);
}

size_t TableEpisode::column_bytes() const {
  size_t total = 0;
  for (const auto& [name, column] : floats_) {
    total += column.values.capacity() * sizeof(float);
  }
  for (const auto& [name, column] : indices_) {
    total += column.capacity() * sizeof(int64_t);
  }
  return total;
}

size_t TableEpisode::video_bytes() const {
  size_t total = 0;
  for (const auto& [name, source] : cameras_) {
    total += source == nullptr ? 0 : source->bytes();
  }
  return total;
}

// Rows `row + delta` within [0, length).
Result<std::vector<int64_t>> resolve_rows(const std::vector<int64_t>& deltas, int64_t row,
                                          int64_t length, IndexMode mode) {
  std::vector<int64_t> rows;
  for (const int64_t delta : deltas) {
    // Deltas come from a file: clamped first so that the sum cannot overflow.
    int64_t target = row + std::clamp(delta, -2 * length - 1, 2 * length + 1);
    if (mode == IndexMode::kClamp) {
      target = std::clamp<int64_t>(target, 0, length - 1);
    } else if (target < 0) {
      target += length;
    }
    if (target < 0 || target >= length) {
      return bad_input("row {} with delta {} is outside the episode's {} rows", row, delta, length);
    }
    rows.push_back(target);
  }
  return rows;
}

int64_t span_of(const std::vector<int64_t>& deltas) {
  if (deltas.empty()) {
    return 1;
  }
  const auto [low, high] = std::minmax_element(deltas.begin(), deltas.end());
  constexpr int64_t kLimit = int64_t{1} << 40;
  return std::clamp(*high, -kLimit, kLimit) - std::clamp(*low, -kLimit, kLimit) + 1;
}

}  // namespace

Result<Step::Values> Episode::state(std::string_view group) {
  std::vector<int64_t> rows(static_cast<size_t>(length()));
  std::iota(rows.begin(), rows.end(), 0);
  return values(Kind::kState, group, rows);
}

Result<Step::Values> Episode::action(std::string_view group) {
  std::vector<int64_t> rows(static_cast<size_t>(length()));
  std::iota(rows.begin(), rows.end(), 0);
  return values(Kind::kAction, group, rows);
}

Result<Step> Episode::step(const preprocess::Modalities& modalities, int64_t row, IndexMode mode,
                           bool with_video) {
  if (row < 0 || row >= length()) {
    return not_found("step {} of episode {}, which has {} rows", row, index(), length());
  }
  const auto rows_of = [&](const preprocess::ModalityConfig& modality) {
    return resolve_rows(modality.delta_indices, row, length(), mode);
  };
  Step out;
  SINEW_ASSIGN(const std::vector<int64_t> state_rows, rows_of(modalities.state));
  for (const std::string& key : modalities.state.keys) {
    SINEW_ASSIGN(Step::Values group, values(Kind::kState, key, state_rows));
    out.state.push_back(std::move(group));
  }
  SINEW_ASSIGN(const std::vector<int64_t> action_rows, rows_of(modalities.action));
  for (const std::string& key : modalities.action.keys) {
    SINEW_ASSIGN(Step::Values group, values(Kind::kAction, key, action_rows));
    out.action.push_back(std::move(group));
  }
  SINEW_ASSIGN(const std::vector<int64_t> language_rows, rows_of(modalities.language));
  if (!modalities.language.keys.empty()) {
    SINEW_ASSIGN(out.language, language(modalities.language.keys.front(),
                                        language_rows.empty() ? row : language_rows.front(),
                                        span_of(modalities.action.delta_indices)));
  }
  if (!with_video) {
    return out;
  }
  SINEW_ASSIGN(const std::vector<int64_t> video_rows, rows_of(modalities.video));
  for (const std::string& key : modalities.video.keys) {
    Step::Frames frames{key, {}};
    for (const int64_t video_row : video_rows) {
      SINEW_ASSIGN(preprocess::Image image, frame(key, video_row));
      frames.frames.push_back(std::move(image));
    }
    out.video.push_back(std::move(frames));
  }
  return out;
}

Result<std::unique_ptr<Episode>> make_episode(const LeRobotMeta& meta, const EpisodeEntry& entry,
                                              const ParquetFile& file, const EpisodeRows& rows,
                                              CameraOpener open_camera) {
  auto episode = std::make_unique<TableEpisode>(meta, entry, file.where(), rows.length,
                                                std::move(open_camera));
  SINEW_TRY(episode->read_columns(file, {rows.rows.first, rows.length}));
  return std::unique_ptr<Episode>(std::move(episode));
}

}  // namespace sinew::dataset
