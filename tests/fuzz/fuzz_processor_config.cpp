// Three JSON texts with a NUL between them: processor_config.json, statistics.json,
// embodiment_id.json. When they resolve, one state is encoded, one chunk decoded and encoded again.
#include "io/json.h"
#include "preprocess/action/action.h"
#include "preprocess/config/processor_config.h"
#include "preprocess/state/state.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace sinew;
using namespace sinew::preprocess;

// Beyond this a chunk is only slow to decode, not otherwise interesting.
constexpr int64_t kMaxValues = 1 << 20;

void serve(const ProcessorConfig& config) {
  if (config.action_steps() * config.max_action_dim > kMaxValues ||
      config.state_steps() * config.max_state_dim > kMaxValues) {
    return;
  }
  std::vector<std::vector<float>> values;
  std::vector<StateGroup> groups;
  for (const std::string& key : config.modalities.state.keys) {
    const int64_t dims = config.statistics.state.at(key).dims;
    std::vector<float>& group =
        values.emplace_back(static_cast<size_t>(config.state_steps() * dims));
    for (size_t i = 0; i < group.size(); ++i) {
      group[i] = 0.5F * static_cast<float>(i % 7) - 1.0F;
    }
    groups.push_back({key, group, config.state_steps(), dims});
  }
  std::vector<float> state(static_cast<size_t>(config.state_steps() * config.max_state_dim));
  (void)encode_state(config, groups, state);

  std::vector<float> normalized(static_cast<size_t>(config.action_steps() * config.max_action_dim));
  for (size_t i = 0; i < normalized.size(); ++i) {
    normalized[i] = 0.25F * static_cast<float>(i % 11) - 1.25F;
  }
  const size_t keys = config.modalities.action.keys.size();
  for (size_t k = 0; k < keys; ++k) {
    std::vector<double> decoded;
    if (!decode_action_key(config, k, normalized, config.action_steps(), groups, decoded).ok()) {
      continue;
    }
    std::vector<float> raw(decoded.size());
    std::ranges::transform(decoded, raw.begin(), [](double x) { return static_cast<float>(x); });
    std::vector<double> encoded;
    (void)encode_action_key(config, k, raw, groups, encoded);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::array<io::Json, 3> files;
  for (io::Json& file : files) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    Result<io::Json> parsed = io::parse_json(rest.substr(0, end), "fuzz");
    if (parsed.ok()) {
      file = std::move(parsed).value();
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const ProcessorSources sources{{files[0], "processor_config.json"},
                                 {files[1], "statistics.json"},
                                 {files[2], "embodiment_id.json"}};
  for (const char* const tag : {"", "new_embodiment"}) {
    const Result<ProcessorConfig> config = resolve_processor_config(sources, {tag});
    if (config.ok()) {
      serve(config.value());
    }
  }
  return 0;
}
