// The JSON of --modality-config-path from hostile bytes, alone or under a tag. What parses is used
// on an episode in memory: rows at every delta, and the statistics of relative actions.
#include "base/check.h"
#include "dataset/statistics.h"
#include "eval/fakes.h"
#include "io/json.h"
#include "preprocess/config/processor_config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace sinew;  // NOLINT(google-build-using-namespace): one file, one purpose

constexpr size_t kMaxDeltas = 64;  // beyond this a window is only slow

void use(const preprocess::Modalities& modalities) {
  for (const auto* modality :
       {&modalities.video, &modalities.state, &modalities.action, &modalities.language}) {
    if (modality->delta_indices.size() > kMaxDeltas || modality->keys.size() > kMaxDeltas) {
      return;
    }
  }
  static const test::FakeDataset data({5, 3});
  static_cast<void>(dataset::compute_relative_stats(data, modalities).ok());
  if (!data.check_modalities(modalities).ok() || modalities.language.keys.empty()) {
    return;
  }
  const auto episode = data.open_episode(0);
  SINEW_CHECK(episode.ok());
  for (const auto mode : {dataset::IndexMode::kClamp, dataset::IndexMode::kPython}) {
    for (const int64_t row : {0, 4}) {
      const auto step = episode.value()->step(modalities, row, mode);
      if (step.ok()) {
        SINEW_CHECK(step.value().state.size() == modalities.state.keys.size());
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = io::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!json.ok()) {
    return 0;
  }
  const io::JsonView root(json.value(), "fuzz");
  if (const auto modalities = preprocess::parse_modalities(root); modalities.ok()) {
    use(modalities.value());
  }
  for (const std::string& tag : root.keys()) {
    const auto modalities = preprocess::parse_modalities(root.at(tag).value());
    if (modalities.ok()) {
      use(modalities.value());
    }
  }
  return 0;
}
