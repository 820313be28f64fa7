// Observations that can be run but hardly be right: states far outside of the checkpoint's
// statistics, frames without light. Each finding is logged once; the request is served.
#pragma once

#include "preprocess/config/processor_config.h"

#include "sinew/observation.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sinew::policy {

// Copies what it needs of the configuration. Any number of threads may look side by side; nothing
// is locked, and nothing allocated but for the text of a warning.
class ObservationWatch {
 public:
  // Precondition: `config` is a result of resolve_processor_config.
  explicit ObservationWatch(const preprocess::ProcessorConfig& config);

  // State key `index` of the configuration; values [steps, dims], as many as it has.
  void see_state(size_t index, std::span<const float> values) const;

  // Camera `index` of the configuration.
  void see_frame(size_t index, const Frame& frame) const;

 private:
  // What one dimension was in training, and how far from there it is far outside.
  struct Range {
    double low = 0;
    double high = 0;
    double reach = 0;
  };

  struct State {
    std::string key;
    std::vector<Range> dims;
    size_t needed = 1;  // dimensions that must be far outside
  };

  struct Finding;

  static State make_state(const preprocess::ProcessorConfig& config, const std::string& key);
  static Finding examine(const State& state, std::span<const float> row);
  static std::string warning(const State& state, const Finding& finding);

  std::vector<State> states_;
  std::vector<std::string> cameras_;
  std::unique_ptr<std::atomic<bool>[]> said_;  // of each state, then of each camera
};

}  // namespace sinew::policy
