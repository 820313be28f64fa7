#include "dataset/convert.h"

#include "dataset/parquet_table.h"
#include "dataset/video_decoder.h"
#include "dataset/write_video.h"
#include "io/json.h"
#include "preprocess/image/image.h"
#include "support/temp_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace sinew::test {
namespace {

namespace fs = std::filesystem;
using Type = WriteColumn::Type;

const fs::path kGolden = "tests/golden/dataset";
const std::vector<std::string> kCameras{"observation.images.front", "observation.images.wrist"};
constexpr int kEpisodes = 2;
constexpr int kFrames = 30;
constexpr int kFps = 30;

fs::path golden_video(const std::string& camera, int episode) {
  return kGolden / "videos/chunk-000" / camera / fmt::format("episode_{:06d}.mp4", episode);
}

std::string data_name(int episode) {
  return fmt::format("data/chunk-000/episode_{:06d}.parquet", episode);
}

io::Json golden_info() {
  auto info = io::read_json_file(kGolden / "meta/info.json");
  EXPECT_TRUE(info.ok()) << info.status().message();
  return info.ok() ? info.value() : io::Json::object();
}

void write_json(const fs::path& path, const io::Json& json) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << json.dump(4);
}

// The columns of a golden episode; lists become fixed-size ones with `fixed`.
std::vector<WriteColumn> golden_columns(int episode, bool fixed) {
  std::vector<WriteColumn> out;
  auto file = dataset::ParquetFile::open(kGolden / data_name(episode));
  EXPECT_TRUE(file.ok()) << file.status().message();
  auto columns = file.value().read(file.value().columns(), {0, file.value().rows()});
  EXPECT_TRUE(columns.ok()) << columns.status().message();
  for (const dataset::Column& column : columns.value()) {
    WriteColumn copy;
    copy.name = column.name;
    copy.width = column.width;
    copy.numbers = column.numbers;
    copy.type = column.is_array              ? (fixed ? Type::kFixedFloatList : Type::kFloatList)
                : column.name == "timestamp" ? Type::kFloat
                                             : Type::kInt64;
    out.push_back(copy);
  }
  return out;
}

void append_rows(std::vector<WriteColumn>& columns, const std::vector<WriteColumn>& more) {
  if (columns.empty()) {
    columns = more;
    return;
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    columns[i].numbers.insert(columns[i].numbers.end(), more[i].numbers.begin(),
                              more[i].numbers.end());
    columns[i].texts.insert(columns[i].texts.end(), more[i].texts.begin(), more[i].texts.end());
  }
}

WriteColumn image_column(const std::string& camera, int episode) {
  WriteColumn column{camera, Type::kImage, 1, {}, {}, {}};
  auto decoder = dataset::VideoDecoder::open(golden_video(camera, episode));
  EXPECT_TRUE(decoder.ok()) << decoder.status().message();
  for (int i = 0; i < kFrames; ++i) {
    const auto frame = decoder.value()->frame(i);
    EXPECT_TRUE(frame.ok()) << frame.status().message();
    auto png = preprocess::encode_png(frame.value());
    EXPECT_TRUE(png.ok()) << png.status().message();
    column.texts.push_back(std::move(png).value());
  }
  return column;
}

std::vector<WriteColumn> episode_columns(int episode, VideoForm form, bool fixed) {
  std::vector<WriteColumn> columns = golden_columns(episode, fixed);
  for (const std::string& camera : kCameras) {
    if (form == VideoForm::kImages) {
      columns.push_back(image_column(camera, episode));
    }
  }
  return columns;
}

void mark_cameras(io::Json& info, VideoForm form) {
  for (const std::string& camera : kCameras) {
    if (form == VideoForm::kImages) {
      info["features"][camera]["dtype"] = "image";
      info["features"][camera].erase("info");
    } else if (form == VideoForm::kAv1) {
      info["features"][camera]["info"]["video.codec"] = "av1";
    }
  }
  if (form == VideoForm::kImages) {
    info["video_path"] = nullptr;
  }
}

// The video of one episode in the wanted form. Encoding is slow, so a process does it once.
fs::path episode_video(const std::string& camera, int episode, VideoForm form) {
  if (form == VideoForm::kH264) {
    return golden_video(camera, episode);
  }
  static const TempFolder kEncoded;
  const fs::path path = kEncoded / (camera + fmt::format("/{}.mp4", episode));
  if (!fs::exists(path)) {
    encode_av1(golden_video(camera, episode), path, 10);
  }
  return path;
}

void write_v3_tables(const fs::path& folder, VideoForm form, const WriteOptions& options) {
  WriteColumn index{"episode_index", Type::kInt64, 1, {0, 1}, {}, {}};
  std::vector<WriteColumn> columns{
      index,
      {"tasks",
       Type::kTextList,
       1,
       {},
       {},
       {{"pick up the red cube"}, {"Put the cup into the bowl!"}}},
      {"length", Type::kInt64, 1, {kFrames, kFrames}, {}, {}},
      {"dataset_from_index", Type::kInt64, 1, {0, kFrames}, {}, {}},
      {"dataset_to_index", Type::kInt64, 1, {kFrames, 2 * kFrames}, {}, {}},
      {"data/chunk_index", Type::kInt64, 1, {0, 0}, {}, {}},
      {"data/file_index", Type::kInt64, 1, {0, 0}, {}, {}}};
  for (const std::string& camera : kCameras) {
    if (form == VideoForm::kImages) {
      continue;
    }
    const std::string prefix = "videos/" + camera + "/";
    columns.push_back({prefix + "chunk_index", Type::kInt64, 1, {0, 0}, {}, {}});
    columns.push_back({prefix + "file_index", Type::kInt64, 1, {0, 0}, {}, {}});
    columns.push_back({prefix + "from_timestamp", Type::kDouble, 1, {0, 1}, {}, {}});
    columns.push_back({prefix + "to_timestamp", Type::kDouble, 1, {1, 2}, {}, {}});
  }
  write_parquet(folder / "meta/episodes/chunk-000/file-000.parquet", columns, options);
  write_parquet(folder / "meta/tasks.parquet",
                {{"task_index", Type::kInt64, 1, {0, 1}, {}, {}},
                 {"__index_level_0__",
                  Type::kText,
                  1,
                  {},
                  {"pick up the red cube", "Put the cup into the bowl!"},
                  {}}},
                options);
}

}  // namespace

void convert_to_v2(const fs::path& folder, const char* version, VideoForm form,
                   const WriteOptions& options) {
  fs::create_directories(folder / "meta");
  for (const char* name : {"episodes.jsonl", "tasks.jsonl", "modality.json", "stats.json"}) {
    fs::copy_file(kGolden / "meta" / name, folder / "meta" / name);
  }
  io::Json info = golden_info();
  info["codebase_version"] = version;
  mark_cameras(info, form);
  if (std::string(version) == "v2.0") {
    for (auto& [name, feature] : info["features"].items()) {
      if (feature.contains("info")) {
        feature["video_info"] = feature["info"];
        feature.erase("info");
      }
    }
    info["features"]["action"]["names"] = {{"motors", {"a", "b", "c", "d", "e", "f", "g"}}};
  }
  write_json(folder / "meta/info.json", info);
  for (int episode = 0; episode < kEpisodes; ++episode) {
    write_parquet(folder / data_name(episode), episode_columns(episode, form, episode == 1),
                  options);
    for (const std::string& camera : kCameras) {
      if (form == VideoForm::kImages) {
        continue;
      }
      const fs::path target =
          folder / "videos/chunk-000" / camera / fmt::format("episode_{:06d}.mp4", episode);
      fs::create_directories(target.parent_path());
      fs::copy_file(episode_video(camera, episode, form), target);
    }
  }
}

void convert_to_v3(const fs::path& folder, VideoForm form, const WriteOptions& options) {
  io::Json info = golden_info();
  info["codebase_version"] = "v3.0";
  info.erase("chunks_size");
  info.erase("total_chunks");
  info.erase("total_videos");
  info["data_path"] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet";
  info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
  mark_cameras(info, form);
  write_json(folder / "meta/info.json", info);
  fs::copy_file(kGolden / "meta/modality.json", folder / "meta/modality.json");
  fs::copy_file(kGolden / "meta/stats.json", folder / "meta/stats.json");
  write_v3_tables(folder, form, options);
  std::vector<WriteColumn> columns;
  for (int episode = 0; episode < kEpisodes; ++episode) {
    append_rows(columns, episode_columns(episode, form, false));
  }
  write_parquet(folder / "data/chunk-000/file-000.parquet", columns, options);
  for (const std::string& camera : kCameras) {
    if (form == VideoForm::kImages) {
      continue;
    }
    std::vector<fs::path> parts;
    for (int episode = 0; episode < kEpisodes; ++episode) {
      parts.push_back(episode_video(camera, episode, form));
    }
    concatenate_videos(parts, folder / "videos" / camera / "chunk-000/file-000.mp4", kFrames, kFps);
  }
}

}  // namespace sinew::test
