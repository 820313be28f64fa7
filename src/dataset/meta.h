// The episode and task tables of a data set: meta/episodes.jsonl and meta/tasks.jsonl of v2
// (spec/dataset.md sections 1.2 and 1.3). v3 fills the same structures from Parquet.
#pragma once

#include "sinew/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::dataset {

// A text that holds on rows [start, end) of an episode.
struct SubTask {
  int64_t start = 0;
  int64_t end = 0;
  std::string text;
};

struct EpisodeEntry {
  int64_t episode_index = 0;  // used in file names; the position in the table selects
  int64_t length = 0;         // rows claimed; the data file may hold fewer or more
  std::vector<std::string> tasks;
  std::vector<SubTask> sub_tasks;
};

using TaskTable = std::map<int64_t, std::string>;  // by task_index

// `where` is the file, for messages that name its line. Blank lines are skipped. Errors: bad JSON,
// keys missing or of the wrong type, an episode_index twice, no episodes at all.
Result<std::vector<EpisodeEntry>> parse_episodes(std::string_view text, const std::string& where);

// Errors as above; a task_index twice with different texts.
Result<TaskTable> parse_tasks(std::string_view text, const std::string& where);

// Bounds of lengths and indices: sums of them cannot overflow.
inline constexpr int64_t kMaxEpisodeIndex = int64_t{1} << 40;
inline constexpr int64_t kMaxEpisodeLength = int64_t{1} << 32;

}  // namespace sinew::dataset
