// What is wrong with a data set is said, with the file and what to expect; nothing crashes.
#include "dataset/convert.h"
#include "dataset/dataset.h"
#include "dataset/golden_copy.h"
#include "dataset/info.h"
#include "dataset/meta.h"
#include "dataset/parquet_table.h"
#include "dataset/statistics.h"
#include "dataset/write_parquet.h"

#include <arrow/memory_pool.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace sinew::dataset {
namespace {

using test::GoldenCopy;
using test::WriteColumn;
using testing::AllOf;
using testing::HasSubstr;

// Opens the data set, the first episode, and reads everything of its first and last row.
Status read_all(const std::filesystem::path& folder) {
  SINEW_ASSIGN(const auto dataset, Dataset::open(folder));
  SINEW_ASSIGN(const auto episode, dataset->open_episode(0));
  for (const char* group : {"single_arm", "gripper"}) {
    SINEW_TRY(episode->state(group).status());
    SINEW_TRY(episode->action(group).status());
  }
  SINEW_TRY(episode->language("annotation.human.task_description", 0).status());
  for (const char* camera : {"front", "wrist"}) {
    for (int64_t row = 0; row < episode->length(); ++row) {
      SINEW_TRY(episode->frame(camera, row).status());
    }
  }
  return {};
}

std::string failure(const GoldenCopy& copy) {
  const Status status = read_all(copy.path());
  EXPECT_FALSE(status.ok());
  return status.message();
}

TEST(BadDataset, MissingFilesAreNamed) {
  for (const char* name :
       {test::kInfo, test::kEpisodes, test::kTasks, test::kModality, test::kData, test::kVideo}) {
    const GoldenCopy copy;
    copy.remove(name);
    const Status status = read_all(copy.path());
    EXPECT_EQ(status.code(), Code::kNotFound) << name << ": " << status.message();
    EXPECT_THAT(status.message(), HasSubstr((copy.path() / name).string()));
  }
  EXPECT_THAT(read_all("no/such/folder").message(), HasSubstr("not a LeRobot data set"));
}

TEST(BadDataset, LfsPointersAreNamed) {
  for (const char* name :
       {test::kInfo, test::kEpisodes, test::kTasks, test::kModality, test::kData, test::kVideo}) {
    const GoldenCopy copy;
    copy.write(name, test::kPointer);
    EXPECT_THAT(failure(copy), HasSubstr("LFS")) << name;
  }
}

TEST(BadDataset, MetaFiles) {
  struct Case {
    const char* file;
    const char* from;
    const char* to;
    const char* says;
  };

  const Case cases[] = {
      {test::kInfo, "\"v2.1\"", "\"v1.6\"", "v2.0, v2.1 and v3.0"},
      {test::kInfo, "\"v2.1\"", "2.1", "codebase_version"},
      {test::kInfo, "\"codebase_version\"", "\"version\"", "codebase_version"},
      {test::kInfo, "\"chunks_size\": 1000", "\"chunks_size\": 0", "chunks_size"},
      {test::kInfo, "\"chunks_size\": 1000", "\"chunks_size\": -4", "chunks_size"},
      {test::kInfo, "\"fps\": 30", "\"fps\": 0", "fps"},
      {test::kInfo, "\"fps\": 30", "\"fps\": NaN", "fps"},
      {test::kInfo, "\"data_path\"", "\"path\"", "data_path"},
      {test::kInfo, "\"video_path\"", "\"videos\"", "video_path"},
      {test::kInfo, "data/chunk", "../data/chunk", "out of the data set"},
      {test::kInfo, "data/chunk", "/data/chunk", "out of the data set"},
      {test::kInfo, "{episode_chunk:03d}", "{chunk:03d}", "unknown field 'chunk'"},
      {test::kInfo, "episode_{episode_index:06d}.parquet", "all.parquet", "{episode_index}"},
      {test::kInfo, "\"features\": {", "\"features\": 3, \"x\": {", "features"},
      {test::kInfo, "\"dtype\": \"float32\"", "\"dtype\": 32", "features.action.dtype"},
      {test::kInfo, "\"codebase_version\"", "codebase_version", "info.json"},
      {test::kEpisodes, "\"length\": 30}\n", "\"length\": 30\n", "episodes.jsonl line 1"},
      {test::kEpisodes, "\"length\": 30", "\"length\": -1", "length"},
      {test::kEpisodes, "\"length\": 30", "\"length\": 1e18", "length"},
      {test::kEpisodes, "\"length\"", "\"len\"", "length"},
      {test::kEpisodes, "\"episode_index\": 0", "\"episode_index\": 1", "occurs twice"},
      {test::kEpisodes, "\"episode_index\": 0", "\"episode_index\": \"0\"", "episode_index"},
      {test::kEpisodes, "[\"pick up the red cube\"]", "\"pick\"", "tasks"},
      {test::kEpisodes, "\"length\": 30", "\"length\": 30, \"sub_tasks\": [{\"start\": 1}]", "end"},
      {test::kTasks, "\"task_index\": 1", "\"task_index\": 0", "two texts"},
      {test::kTasks, "\"task\": ", "\"text\": ", "tasks.jsonl line 1"},
      {test::kTasks, "\"task_index\": 0", "\"task_index\": 7", "refers to task 0"},
      {test::kModality, "\"end\": 6", "\"end\": 0", "holds nothing"},
      {test::kModality, "\"start\": 0", "\"start\": -1", "start"},
      {test::kModality, "\"start\": 0,", "", "start"},
      {test::kModality, "\"end\": 6", "\"end\": 8", "which has 7 values"},
      {test::kModality, "observation.images.front", "observation.images.top",
       "observation.images.front, observation.images.wrist"},
      {test::kModality, "observation.images.front", "action", "no video or image feature"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(std::string(one.file) + ": " + one.to);
    const GoldenCopy copy;
    copy.replace(one.file, one.from, one.to);
    EXPECT_THAT(failure(copy), HasSubstr(one.says));
  }
}

TEST(BadDataset, EmptyTables) {
  const GoldenCopy copy;
  copy.write(test::kEpisodes, "\n \r\n");
  EXPECT_THAT(failure(copy), HasSubstr("lists no episodes"));
}

TEST(BadDataset, PathTemplates) {
  for (const char* text : {"{", "a}b", "{episode_index", "{}", "{episode_index:>6}",
                           "{video_key:03d}", "{episode_index:099d}", "{episode_index:0d}",
                           "{episode_index!r}", "{episode_index:0x6d}", "{0}"}) {
    EXPECT_EQ(PathTemplate::parse(text, "here").status().code(), Code::kBadInput) << text;
  }
  PathFields fields;
  fields.episode_index = 12;
  fields.video_key = "a/../../b";
  const auto path = [&](const char* text) {
    return PathTemplate::parse(text, "here").value().format(fields);
  };
  EXPECT_EQ(path("x{{y}}/{episode_index:06d}-{episode_index}-{episode_chunk:d}").value(),
            "x{y}/000012-12-0");
  EXPECT_EQ(path("videos/{video_key}").status().code(), Code::kBadInput);
  EXPECT_EQ(path("").status().code(), Code::kBadInput);
  EXPECT_EQ(path("/etc/passwd").status().code(), Code::kBadInput);
}

// The columns of a small valid episode.
std::vector<WriteColumn> small_columns(size_t rows) {
  std::vector<WriteColumn> columns{
      {"observation.state", WriteColumn::Type::kFloatList, 7, {}, {}, {}},
      {"action", WriteColumn::Type::kFloatList, 7, {}, {}, {}},
      {"task_index", WriteColumn::Type::kInt64, 1, {}, {}, {}}};
  for (WriteColumn& column : columns) {
    column.numbers.assign(rows * static_cast<size_t>(column.width), 0.0);
  }
  return columns;
}

TEST(BadDataset, FrameCountsAreBothNamed) {
  const GoldenCopy copy;
  test::write_parquet(copy.path() / test::kData, small_columns(29));
  EXPECT_THAT(failure(copy), AllOf(HasSubstr("observation.images.front"), HasSubstr("30 frames"),
                                   HasSubstr("29 rows")));
}

TEST(BadDataset, Columns) {
  const GoldenCopy copy;
  const auto failure_with = [&](const std::vector<WriteColumn>& columns) {
    test::write_parquet(copy.path() / test::kData, columns);
    return failure(copy);
  };
  std::vector<WriteColumn> columns = small_columns(30);
  columns.erase(columns.begin());
  EXPECT_THAT(failure_with(columns),
              AllOf(HasSubstr("no column 'observation.state'"), HasSubstr("action, task_index")));

  columns = small_columns(30);
  columns[0].numbers.resize(30U * 7 - 2);  // the last cell holds 5 values
  EXPECT_THAT(failure_with(columns), AllOf(HasSubstr("row 29 has 5 values"), HasSubstr("have 7")));

  columns = small_columns(30);
  columns[1].numbers[7 * 3 + 2] = std::nan("");
  EXPECT_THAT(failure_with(columns), HasSubstr("column 'action', row 3, dimension 2 is nan"));

  columns = small_columns(30);
  columns[0] = {"observation.state", WriteColumn::Type::kText, 1, {}, {}, {}};
  columns[0].texts.assign(30, "x");
  EXPECT_THAT(failure_with(columns), HasSubstr("expected numbers"));

  columns = small_columns(30);
  columns[2] = {"task_index", WriteColumn::Type::kDouble, 1, {}, {}, {}};
  columns[2].numbers.assign(30, 0.5);
  EXPECT_THAT(failure_with(columns), HasSubstr("expected an integer, found 0.5"));

  columns[2].numbers.assign(30, 1e30);
  EXPECT_THAT(failure_with(columns), HasSubstr("expected an integer"));

  EXPECT_THAT(failure_with(small_columns(0)), HasSubstr("0 rows"));
}

TEST(BadDataset, NonFiniteStatistics) {
  const GoldenCopy copy;
  std::vector<WriteColumn> columns = small_columns(30);
  columns.push_back({"timestamp", WriteColumn::Type::kFloat, 1, {}, {}, {}});
  columns.back().numbers.assign(30, 0.0);
  columns[0].numbers[8] = HUGE_VAL;
  test::write_parquet(copy.path() / test::kData, columns);
  const auto dataset = Dataset::open(copy.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  EXPECT_THAT(compute_stats(*dataset.value()).status().message(),
              HasSubstr("column 'observation.state', row 1"));
}

// Every cut of a file is an error that names it.
void expect_truncation_errors(const char* name, size_t pieces) {
  const GoldenCopy copy;
  const std::string whole = copy.read(name);
  for (size_t i = 0; i < pieces; ++i) {
    const size_t size = whole.size() * i / pieces;
    copy.write(name, whole.substr(0, size));
    const Status status = read_all(copy.path());
    EXPECT_FALSE(status.ok()) << name << " cut to " << size;
    EXPECT_THAT(status.message(), HasSubstr((copy.path() / name).string()));
  }
}

TEST(BadDataset, TruncatedData) {
  expect_truncation_errors(test::kData, 40);
}

TEST(BadDataset, TruncatedVideo) {
  expect_truncation_errors(test::kVideo, 40);
}

// Without its index a video has no frames, even when all of them are there.
TEST(BadDataset, VideoWithoutAnIndex) {
  const GoldenCopy copy;
  copy.replace(test::kVideo, "moov", "skip");
  EXPECT_THAT(failure(copy), HasSubstr(test::kVideo));
}

// Damage anywhere is an error or harmless; the sanitizer builds say whether it is safe.
void damage_everywhere(const char* name, int rounds) {
  const GoldenCopy copy;
  const std::string whole = copy.read(name);
  std::mt19937 random(20);
  for (int i = 0; i < rounds; ++i) {
    std::string damaged = whole;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int j = 0; j < changes; ++j) {
      damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
    }
    copy.write(name, damaged);
    const Status status = read_all(copy.path());
    if (!status.ok()) {
      EXPECT_FALSE(status.message().empty());
    }
  }
}

TEST(BadDataset, DamagedData) {
  damage_everywhere(test::kData, 150);
}

TEST(BadDataset, DamagedVideo) {
  damage_everywhere(test::kVideo, 60);
}

TEST(BadDataset, APageHeaderCannotClaimGigabytes) {
  const auto file = ParquetFile::open("tests/fuzz/corpus/parquet/page_of_gigabytes");
  ASSERT_TRUE(file.ok()) << file.status().message();
  size_t refused = 0;
  for (const std::string& name : file.value().columns()) {
    refused += file.value().read({name}, {0, file.value().rows()}).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 0U);
  EXPECT_LT(arrow::default_memory_pool()->max_memory(), 128 << 20);
}

TEST(BadDataset, DamagedMeta) {
  for (const char* name : {test::kInfo, test::kEpisodes, test::kTasks, test::kModality}) {
    damage_everywhere(name, 40);
  }
}

class BadV3 : public testing::Test {
 protected:
  void SetUp() override { test::convert_to_v3(folder_.path(), test::VideoForm::kH264); }

  std::string failure() {
    const Status status = read_all(folder_.path());
    EXPECT_FALSE(status.ok());
    return status.message();
  }

  // The episodes table with one column changed.
  void write_episodes(const std::string& column, const std::vector<double>& numbers) {
    std::vector<WriteColumn> columns{
        {"episode_index", WriteColumn::Type::kInt64, 1, {0, 1}, {}, {}},
        {"tasks", WriteColumn::Type::kTextList, 1, {}, {}, {{"a"}, {"b"}}},
        {"length", WriteColumn::Type::kInt64, 1, {30, 30}, {}, {}},
        {"data/chunk_index", WriteColumn::Type::kInt64, 1, {0, 0}, {}, {}},
        {"data/file_index", WriteColumn::Type::kInt64, 1, {0, 0}, {}, {}}};
    for (const char* camera : {"front", "wrist"}) {
      const std::string prefix = std::string("videos/observation.images.") + camera + "/";
      columns.push_back({prefix + "chunk_index", WriteColumn::Type::kInt64, 1, {0, 0}, {}, {}});
      columns.push_back({prefix + "file_index", WriteColumn::Type::kInt64, 1, {0, 0}, {}, {}});
      columns.push_back({prefix + "from_timestamp", WriteColumn::Type::kDouble, 1, {0, 1}, {}, {}});
      columns.push_back({prefix + "to_timestamp", WriteColumn::Type::kDouble, 1, {1, 2}, {}, {}});
    }
    for (WriteColumn& one : columns) {
      if (one.name == column) {
        one.type = WriteColumn::Type::kDouble;
        one.numbers = numbers;
      }
    }
    test::write_parquet(folder_ / "meta/episodes/chunk-000/file-000.parquet", columns);
  }

  test::TempFolder folder_;
};

TEST_F(BadV3, MissingFilesAreNamed) {
  for (const char* name : {"meta/episodes", "meta/tasks.parquet", "data/chunk-000/file-000.parquet",
                           "videos/observation.images.front/chunk-000/file-000.mp4"}) {
    const auto kept = folder_ / "kept";
    std::filesystem::rename(folder_ / name, kept);
    EXPECT_THAT(failure(), HasSubstr((folder_ / name).string()));
    std::filesystem::rename(kept, folder_ / name);
  }
  EXPECT_TRUE(read_all(folder_.path()).ok());
}

TEST_F(BadV3, EpisodesTable) {
  write_episodes("", {});
  EXPECT_TRUE(read_all(folder_.path()).ok());
  write_episodes("episode_index", {1, 1});
  EXPECT_THAT(failure(), HasSubstr("occurs twice"));
  write_episodes("episode_index", {5, 1});
  EXPECT_THAT(failure(), HasSubstr("no row has episode_index = 5"));
  write_episodes("length", {-1, 30});
  EXPECT_THAT(failure(), HasSubstr("length"));
  write_episodes("data/file_index", {3, 0});
  EXPECT_THAT(failure(), HasSubstr("file-003.parquet"));
  write_episodes("tasks", {0, 0});
  EXPECT_THAT(failure(), HasSubstr("lists of texts"));
  write_episodes("videos/observation.images.front/file_index", {9, 0});
  EXPECT_THAT(failure(), HasSubstr("file-009.mp4"));
  write_episodes("videos/observation.images.front/to_timestamp", {1.5, 2});
  EXPECT_THAT(failure(), AllOf(HasSubstr("45 frames"), HasSubstr("30 rows")));
  write_episodes("videos/observation.images.front/from_timestamp", {0.01, 1});
  EXPECT_THAT(failure(), HasSubstr("nearest frame"));
  write_episodes("videos/observation.images.front/from_timestamp", {std::nan(""), 1});
  EXPECT_THAT(failure(), HasSubstr("expected seconds"));
}

TEST_F(BadV3, RowsOfAnEpisodeMustBeContiguous) {
  std::vector<WriteColumn> columns = small_columns(60);
  columns.push_back({"episode_index", WriteColumn::Type::kInt64, 1, {}, {}, {}});
  for (int row = 0; row < 60; ++row) {
    columns.back().numbers.push_back(row % 2);
  }
  test::write_parquet(folder_ / "data/chunk-000/file-000.parquet", columns);
  EXPECT_THAT(failure(), HasSubstr("not contiguous"));
}

TEST_F(BadV3, TasksOfV2AreReadWithANotice) {
  std::filesystem::remove(folder_ / "meta/tasks.parquet");
  std::filesystem::copy_file("tests/golden/dataset/meta/tasks.jsonl", folder_ / "meta/tasks.jsonl");
  EXPECT_TRUE(read_all(folder_.path()).ok());
  EXPECT_THAT(Dataset::open(folder_.path()).value()->info().notices,
              testing::Contains(HasSubstr("tasks.jsonl was read")));
}

}  // namespace
}  // namespace sinew::dataset
