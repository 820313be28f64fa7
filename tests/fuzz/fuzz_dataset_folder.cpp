// A whole data set folder: the bytes choose changes to the JSON documents of one that opens, and
// the rest of them, where there is any, is a Parquet table: of v2 the rows of the episode, of v3
// the table of episodes. Whatever opens has rows, texts and frames as claimed.
#include "base/check.h"
#include "byte_reader.h"
#include "dataset/dataset.h"
#include "json_edit.h"
#include "memory_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace {

using namespace sinew;  // NOLINT(google-build-using-namespace): one file, one purpose

constexpr size_t kMaxEdits = 8;
constexpr const char* kTableOfEpisodes = "meta/episodes/chunk-000/file-000.parquet";
constexpr std::array<const char*, 4> kFiles = {"meta/info.json", "meta/modality.json",
                                               "meta/episodes.jsonl", "meta/tasks.jsonl"};
constexpr size_t kWanted = kFiles.size();  // the document behind them: what the policy asks for
constexpr size_t kDocuments = kWanted + 1;

std::string read_source(const std::string& name) {
  std::ifstream file(std::string(SINEW_SOURCE_DIR) + "/tests/fuzz/" + name, std::ios::binary);
  SINEW_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

io::Json info(bool is_v3) {
  const char* const data = is_v3 ? "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
                                 : "data/chunk-000/episode_{episode_index:06d}.parquet";
  const char* const video = is_v3 ? "videos/{video_key}/file-{file_index:03d}.mp4"
                                  : "videos/{video_key}/episode_{episode_index:06d}.mp4";
  const io::Json column = {{"dtype", "float32"}, {"shape", {3}}, {"names", {"x", "y", "z"}}};
  return {{"codebase_version", is_v3 ? "v3.0" : "v2.1"},
          {"robot_type", "arm"},
          {"chunks_size", 1000},
          {"fps", 10},
          {"data_path", data},
          {"video_path", video},
          {"features",
           {{"observation.state", column},
            {"action", column},
            {"observation.images.front", {{"dtype", "video"}, {"shape", {48, 64, 3}}}}}}};
}

io::Json modality() {
  const io::Json groups = {{"arm", {{"start", 0}, {"end", 2}}},
                           {"grip", {{"start", 2}, {"end", 3}}}};
  return {{"state", groups},
          {"action", groups},
          {"video", {{"front", {{"original_key", "observation.images.front"}}}}},
          {"annotation", {{"task", {{"original_key", "task_index"}}}}}};
}

io::Json episodes() {
  const io::Json sub_tasks = {{{"start", 0}, {"end", 3}, {"text", "reach"}}};
  return {{{"episode_index", 0}, {"length", 6}, {"tasks", {"pick"}}, {"sub_tasks", sub_tasks}}};
}

io::Json tasks() {
  return {{{"task_index", 0}, {"task", "pick"}}, {{"task_index", 1}, {"task", "put"}}};
}

// The modalities of a policy, to be asked of the data set.
io::Json wanted() {
  const auto of = [](const char* key, io::Json deltas) -> io::Json {
    return {{"delta_indices", std::move(deltas)}, {"modality_keys", {key}}};
  };
  return {{"video", of("front", {-1, 0})},
          {"state", of("arm", {0})},
          {"action", of("arm", {0, 1, 2, 3})},
          {"language", of("annotation.task", {0})}};
}

std::string lines(const io::Json& rows) {
  std::string text;
  for (const io::Json& row : rows) {
    text += test::json_text(row) + "\n";
  }
  return text;
}

// The text of a document as its file holds it: a line for each row of those that end in "l".
std::string file_text(size_t document, const io::Json& json) {
  return std::string_view(kFiles[document]).ends_with('l') ? lines(json) : test::json_text(json);
}

// The documents of a data set that opens, and their texts: most inputs leave most of them alone.
struct Documents {
  explicit Documents(bool is_v3) : json{info(is_v3), modality(), episodes(), tasks(), wanted()} {
    for (size_t i = 0; i < kFiles.size(); ++i) {
      texts[i] = file_text(i, json[i]);
    }
  }

  std::array<io::Json, kDocuments> json;
  std::array<std::string, kFiles.size()> texts;
};

struct Folder : test::MemoryFolder {
  Folder() {
    const std::string video = read_source("corpus/video/h264.mp4");
    set("videos/observation.images.front/episode_000000.mp4", video);
    set("videos/observation.images.front/file-000.mp4", video);
    set("data/chunk-000/episode_000000.parquet", data);
    set("data/chunk-000/file-000.parquet", data);
    set("meta/tasks.parquet", read_source("data/tasks.parquet"));
    set(kTableOfEpisodes, table_of_episodes);
    for (const Documents& documents : sound) {
      for (size_t i = 0; i < kFiles.size(); ++i) {
        set(kFiles[i], documents.texts[i]);
      }
      check_that_it_opens();
    }
  }

  // Otherwise no input would get further.
  void check_that_it_opens() const {
    const auto dataset = dataset::Dataset::open(path());
    SINEW_CHECK(dataset.ok());
    const auto episode = dataset.value()->open_episode(0);
    SINEW_CHECK(episode.ok());
    SINEW_CHECK(episode.value()->frame("front", 0).ok());
  }

  const std::array<Documents, 2> sound = {Documents(false), Documents(true)};
  std::string data = read_source("data/episode.parquet");
  std::string table_of_episodes = read_source("data/episodes.parquet");
};

void check_values(const dataset::Step::Values& values) {
  SINEW_CHECK(values.values.size() == static_cast<size_t>(values.steps * values.dims));
  SINEW_CHECK(std::all_of(values.values.begin(), values.values.end(),
                          [](float x) { return std::isfinite(x); }));
}

void read_episode(dataset::Episode& episode, const dataset::DatasetInfo& about, bool with_frames) {
  const int64_t length = episode.length();
  for (const auto& [name, group] : about.state) {
    if (const auto values = episode.state(name); values.ok()) {
      SINEW_CHECK(values.value().steps == length);
      check_values(values.value());
    }
  }
  for (const auto& [name, group] : about.action) {
    if (const auto values = episode.action(name); values.ok()) {
      check_values(values.value());
    }
  }
  for (const int64_t row : {int64_t{-1}, int64_t{0}, length / 2, length - 1, length}) {
    for (const char* key : {"annotation.task", "task", "sub_task"}) {
      const auto text = episode.language(key, row, 4);
      SINEW_CHECK(!text.ok() || (row >= 0 && row < length));
    }
    if (with_frames && !about.cameras.empty()) {
      const auto frame = episode.frame(about.cameras.begin()->first, row);
      SINEW_CHECK(!frame.ok() ||
                  frame.value().pixels.size() ==
                      static_cast<size_t>(frame.value().height * frame.value().width * 3));
    }
  }
}

void read_steps(const dataset::Dataset& data, dataset::Episode& episode, const io::Json& json,
                dataset::IndexMode mode) {
  const auto modalities = preprocess::parse_modalities({json, "wanted"});
  if (!modalities.ok()) {
    return;
  }
  static_cast<void>(data.check_modalities(modalities.value()).ok());
  for (const int64_t row : {int64_t{0}, episode.length() - 1}) {
    const auto step = episode.step(modalities.value(), row, mode, /*with_video=*/false);
    if (step.ok()) {
      std::for_each(step.value().state.begin(), step.value().state.end(), check_values);
      std::for_each(step.value().action.begin(), step.value().action.end(), check_values);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Folder folder;
  test::ByteReader bytes(data, size);
  const bool is_v3 = bytes.below(2) == 1;
  const size_t use = bytes.below(16);
  const Documents& documents = folder.sound[is_v3 ? 1 : 0];
  std::map<size_t, io::Json> changed;
  const std::string_view edits = bytes.text();
  test::ByteReader choices(reinterpret_cast<const uint8_t*>(edits.data()), edits.size());
  for (size_t edit = 0; edit < kMaxEdits && !choices.empty(); ++edit) {
    const size_t index = choices.below(kDocuments);
    test::edit_json(choices, changed.try_emplace(index, documents.json[index]).first->second);
  }
  for (size_t i = 0; i < kFiles.size(); ++i) {
    folder.set(kFiles[i], changed.contains(i) ? file_text(i, changed[i]) : documents.texts[i]);
  }
  const std::string_view table = bytes.rest();
  folder.set("data/chunk-000/episode_000000.parquet",
             table.empty() || is_v3 ? std::string_view(folder.data) : table);
  folder.set(kTableOfEpisodes,
             table.empty() || !is_v3 ? std::string_view(folder.table_of_episodes) : table);

  const auto dataset = dataset::Dataset::open(folder.path());
  if (!dataset.ok()) {
    SINEW_CHECK(!dataset.status().message().empty());
    return 0;
  }
  const dataset::DatasetInfo& about = dataset.value()->info();
  SINEW_CHECK(about.episodes > 0 && about.fps > 0);
  const auto episode = dataset.value()->open_episode(0);
  if (!episode.ok()) {
    SINEW_CHECK(!episode.status().message().empty());
    return 0;
  }
  read_episode(*episode.value(), about, use == 1);
  read_steps(*dataset.value(), *episode.value(),
             changed.contains(kWanted) ? changed[kWanted] : documents.json[kWanted],
             use >= 8 ? dataset::IndexMode::kPython : dataset::IndexMode::kClamp);
  return 0;
}
