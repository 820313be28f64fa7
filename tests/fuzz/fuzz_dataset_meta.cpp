// The JSON tables of a data set from hostile bytes. The first byte chooses the table.
#include "base/check.h"
#include "dataset/info.h"
#include "dataset/meta.h"
#include "dataset/modality_json.h"
#include "io/json.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace sinew;  // NOLINT(google-build-using-namespace): one file, one purpose

void fuzz_info(const io::Json& json) {
  const auto info = dataset::parse_info({json, "info"});
  if (!info.ok()) {
    return;
  }
  dataset::PathFields fields;
  fields.episode_index = INT64_MAX;
  fields.video_key = info.value().features.empty() ? "" : info.value().features.begin()->first;
  const auto path = info.value().data_path.format(fields);
  if (path.ok()) {
    SINEW_CHECK(path.value().is_relative());
    SINEW_CHECK(path.value().lexically_normal().string().rfind("../", 0) == std::string::npos);
  }
  dataset::DatasetInfo summary;
  dataset::synthesise_modality(info.value(), summary);
  SINEW_CHECK(summary.notices.size() == 1);
}

// {"info": ..., "modality": ...}, so that a modality can refer to features.
void fuzz_modality(const io::Json& json) {
  const io::JsonView view(json, "both");
  const auto info_json = view.at("info");
  const auto modality = view.at("modality");
  if (!info_json.ok() || !modality.ok()) {
    return;
  }
  const auto info = dataset::parse_info(info_json.value());
  if (!info.ok()) {
    return;
  }
  dataset::DatasetInfo summary;
  if (dataset::parse_modality(modality.value(), info.value(), summary).ok()) {
    for (const auto& [name, group] : summary.state) {
      SINEW_CHECK(group.start >= 0 && group.start < group.end);
    }
    for (const auto& [name, feature] : summary.cameras) {
      SINEW_CHECK(info.value().features.contains(feature));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'e') {
    const auto episodes = dataset::parse_episodes(text, "episodes");
    SINEW_CHECK(!episodes.ok() || !episodes.value().empty());
    return 0;
  }
  if (data[0] == 't') {
    static_cast<void>(dataset::parse_tasks(text, "tasks").ok());
    return 0;
  }
  const auto json = io::parse_json(text, "fuzz");
  if (!json.ok()) {
    return 0;
  }
  if (data[0] == 'i') {
    fuzz_info(json.value());
  } else {
    fuzz_modality(json.value());
  }
  return 0;
}
