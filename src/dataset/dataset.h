// A LeRobot dataset (v2.0, v2.1, v3.0) as the policy sees it: episodes of rows, states, actions,
// texts and camera frames decoded on demand (spec/dataset.md sections 1 and 5).
#pragma once

#include "preprocess/config/processor_config.h"
#include "preprocess/image/image.h"

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::dataset {

// How rows outside the episode are read (section 1.8).
enum class IndexMode { kClamp, kPython };

struct DatasetOptions {
  IndexMode index_mode = IndexMode::kClamp;
};

// A slice of a column: state or action group of modality.json.
struct GroupInfo {
  std::string column;  // original_key
  int64_t start = 0;
  int64_t end = 0;                     // half-open
  std::vector<std::string> dim_names;  // joint names from info.json; may be empty
};

struct DatasetInfo {
  std::string version;  // "v2.1"
  double fps = 30;
  bool is_fps_assumed = false;  // meta/info.json does not say
  int64_t episodes = 0;
  int64_t frames = 0;  // sum of episode lengths
  std::string robot_type;
  std::map<std::string, GroupInfo> state, action;  // by group name
  std::map<std::string, std::string> cameras;      // group name -> feature
  std::map<std::string, std::string> annotations;  // group name -> column
  std::vector<std::string> notices;                // what was assumed or ignored
  std::vector<std::string> warnings;               // what is probably wrong
};

// One step: what the policy is shown and the recorded actions.
struct Step {
  struct Frames {
    std::string key;
    std::vector<preprocess::Image> frames;  // [time]
  };

  struct Values {
    std::string key;
    int64_t steps = 0;
    int64_t dims = 0;
    std::vector<float> values;  // [steps, dims]
  };

  std::vector<Frames> video;
  std::vector<Values> state;
  std::vector<Values> action;
  std::string language;
};

// One open episode. Not thread-safe (its decoders move); open one a thread. Refers to its data set,
// which must outlive it.
class Episode {
 public:
  virtual ~Episode() = default;

  virtual int64_t length() const = 0;  // rows
  virtual int64_t index() const = 0;   // episode_index of the data set, used in file names

  // Whole column of a state or action group: f32 [length, dims].
  Result<Step::Values> state(std::string_view group);
  Result<Step::Values> action(std::string_view group);

  // The instruction at a row, for a language key of the policy's configuration (section 1.6). A
  // `sub_task` is offered `action_span / 2` rows before it starts, where action_span is the number
  // of rows that the action deltas span.
  virtual Result<std::string> language(std::string_view key, int64_t row, int64_t action_span) = 0;

  Result<std::string> language(std::string_view key, int64_t row) { return language(key, row, 1); }

  // One frame of a camera group, exact by index in presentation order (section 1.7).
  virtual Result<preprocess::Image> frame(std::string_view camera, int64_t row) = 0;

  // Rows a second by the episode's own time stamps; 0 where they do not say (no such column, fewer
  // than three rows).
  virtual double recorded_fps() const { return 0; }

  // Bytes this episode holds, by kind, for memory reports.
  virtual size_t column_bytes() const = 0;
  virtual size_t video_bytes() const = 0;

  // Section 1.8: rows `row + delta` of every modality. `with_video` false leaves video empty.
  Result<Step> step(const preprocess::Modalities& modalities, int64_t row, IndexMode mode,
                    bool with_video = true);

 protected:
  enum class Kind { kState, kAction };

  // The given rows, each within the episode, of a group: f32 [rows, dims].
  virtual Result<Step::Values> values(Kind kind, std::string_view group,
                                      std::span<const int64_t> rows) = 0;
};

// An open dataset folder. Thread-safe: opening episodes reads only.
class Dataset {
 public:
  // Dispatches on codebase_version of meta/info.json. Errors name the file, what was expected and
  // the remedy.
  static Result<std::unique_ptr<Dataset>> open(const std::filesystem::path& folder,
                                               const DatasetOptions& options = {});

  virtual ~Dataset() = default;

  virtual const DatasetInfo& info() const = 0;
  virtual const std::filesystem::path& path() const = 0;

  const DatasetOptions& options() const { return options_; }

  // `position` counts lines of episodes.jsonl (rows of the episodes table in v3), 0-based.
  virtual Result<std::unique_ptr<Episode>> open_episode(int64_t position) const = 0;

  // Fails, naming groups that exist, when the policy wants a camera, state, action or language key
  // that the data set lacks. (Dimensions are checked against statistics where both are at hand.)
  Status check_modalities(const preprocess::Modalities& modalities) const;

 protected:
  DatasetOptions options_;
};

}  // namespace sinew::dataset
