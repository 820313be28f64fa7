// JSON lines to tables.
#include "dataset/meta.h"

#include "base/error.h"
#include "io/json.h"

#include <set>

namespace sinew::dataset {
namespace {

// Calls `take(view)` for every line that is not blank.
template <class Take>
Status for_each_line(std::string_view text, const std::string& where, Take take) {
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    const std::string place = fmt::format("{} line {}", where, number);
    SINEW_ASSIGN(const io::Json json, io::parse_json(line, place));
    const io::JsonView view(json, place);
    SINEW_TRY(view.expect_object());
    SINEW_TRY(take(view));
  }
  return {};
}

Result<int64_t> int_at(const io::JsonView& json, const char* key, int64_t high) {
  SINEW_ASSIGN(const io::JsonView value, json.at(key));
  return value.as_int(0, high);
}

Result<std::vector<SubTask>> parse_sub_tasks(const io::JsonView& json) {
  std::vector<SubTask> out;
  SINEW_ASSIGN(const size_t count, json.array_size());
  for (size_t i = 0; i < count; ++i) {
    SINEW_ASSIGN(const io::JsonView item, json.at(i));
    SubTask sub_task;
    SINEW_ASSIGN(sub_task.start, int_at(item, "start", kMaxEpisodeLength));
    SINEW_ASSIGN(sub_task.end, int_at(item, "end", kMaxEpisodeLength));
    SINEW_ASSIGN(const io::JsonView text, item.at("text"));
    SINEW_ASSIGN(sub_task.text, text.as_string());
    out.push_back(std::move(sub_task));
  }
  return out;
}

Result<EpisodeEntry> parse_episode(const io::JsonView& json) {
  EpisodeEntry entry;
  SINEW_ASSIGN(entry.episode_index, int_at(json, "episode_index", kMaxEpisodeIndex));
  SINEW_ASSIGN(entry.length, int_at(json, "length", kMaxEpisodeLength));
  if (json.has("tasks")) {
    SINEW_ASSIGN(const io::JsonView tasks, json.at("tasks"));
    SINEW_ASSIGN(entry.tasks, tasks.as_strings());
  }
  if (json.has("sub_tasks")) {
    SINEW_ASSIGN(const io::JsonView sub_tasks, json.at("sub_tasks"));
    SINEW_ASSIGN(entry.sub_tasks, parse_sub_tasks(sub_tasks));
  }
  return entry;
}

}  // namespace

Result<std::vector<EpisodeEntry>> parse_episodes(std::string_view text, const std::string& where) {
  std::vector<EpisodeEntry> entries;
  std::set<int64_t> seen;
  SINEW_TRY(for_each_line(text, where, [&](const io::JsonView& line) -> Status {
    SINEW_ASSIGN(EpisodeEntry entry, parse_episode(line));
    if (!seen.insert(entry.episode_index).second) {
      return line.error_here(fmt::format("episode_index {} occurs twice", entry.episode_index));
    }
    entries.push_back(std::move(entry));
    return {};
  }));
  if (entries.empty()) {
    return bad_input("{}: lists no episodes", where);
  }
  return entries;
}

Result<TaskTable> parse_tasks(std::string_view text, const std::string& where) {
  TaskTable tasks;
  SINEW_TRY(for_each_line(text, where, [&](const io::JsonView& line) -> Status {
    SINEW_ASSIGN(const int64_t index, int_at(line, "task_index", INT64_MAX));
    SINEW_ASSIGN(const io::JsonView task, line.at("task"));
    SINEW_ASSIGN(std::string name, task.as_string());
    const auto [place, inserted] = tasks.emplace(index, name);
    if (!inserted && place->second != name) {
      return line.error_here(fmt::format("task_index {} stands for two texts", index));
    }
    return {};
  }));
  return tasks;
}

}  // namespace sinew::dataset
