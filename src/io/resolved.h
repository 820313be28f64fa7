// The record of where every configuration value came from. A resolver adds one row for each value
// it settles; `sinew inspect` prints the rows, and reports carry them.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace sinew::io {

enum class Origin {
  kFlag,
  kConfigJson,
  kProcessorConfig,
  kStatistics,
  kEmbodimentId,
  kVlmConfig,
  kTensor,
  kDefault
};

// "flag", "config.json", "processor_config.json", "statistics.json", "embodiment_id.json", "vlm
// config.json", "tensor shape", "default".
const char* origin_name(Origin origin);

struct ResolvedValue {
  std::string key;
  std::string value;
  Origin origin = Origin::kDefault;
  std::string note;  // why this default, or what it overrides; may be empty
};

struct ResolvedConfig {
  std::vector<ResolvedValue> rows;
  std::vector<std::string>
      notices;  // mismatches with a stated rule, ignored keys: for the person running it
  std::vector<std::string> warnings;  // what is probably a mistake

  void add(std::string key, std::string value, Origin origin, std::string note = "") {
    rows.push_back({std::move(key), std::move(value), origin, std::move(note)});
  }
};

}  // namespace sinew::io
