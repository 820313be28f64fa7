// modality.json to the groups of DatasetInfo.
#include "dataset/modality_json.h"

#include "base/error.h"

#include <fmt/ranges.h>

#include <utility>

namespace sinew::dataset {
namespace {

constexpr const char* kStateColumn = "observation.state";
constexpr const char* kActionColumn = "action";
constexpr int64_t kMaxDims = 1 << 20;

Result<std::string> original_key(const io::JsonView& json, std::string fallback) {
  if (!json.has("original_key")) {
    return fallback;
  }
  SINEW_ASSIGN(const io::JsonView key, json.at("original_key"));
  return key.as_string();
}

void name_dims(const Info& info, GroupInfo& group) {
  const auto feature = info.features.find(group.column);
  if (feature == info.features.end()) {
    return;
  }
  const std::vector<std::string>& names = feature->second.names;
  if (group.end <= static_cast<int64_t>(names.size())) {
    group.dim_names.assign(names.begin() + group.start, names.begin() + group.end);
  }
}

Result<std::map<std::string, GroupInfo>> parse_groups(const io::JsonView& json, const Info& info,
                                                      const char* default_column) {
  SINEW_TRY(json.expect_object());
  std::map<std::string, GroupInfo> groups;
  for (const std::string& name : json.keys()) {
    SINEW_ASSIGN(const io::JsonView entry, json.at(name));
    SINEW_TRY(entry.expect_object());
    GroupInfo group;
    SINEW_ASSIGN(const io::JsonView start, entry.at("start"));
    SINEW_ASSIGN(group.start, start.as_int(0, kMaxDims));
    SINEW_ASSIGN(const io::JsonView end, entry.at("end"));
    SINEW_ASSIGN(group.end, end.as_int(0, kMaxDims));
    if (group.end <= group.start) {
      return entry.error_here(
          fmt::format("the slice [{}, {}) holds nothing", group.start, group.end));
    }
    SINEW_ASSIGN(group.column, original_key(entry, default_column));
    name_dims(info, group);
    groups[name] = std::move(group);
  }
  return groups;
}

Status parse_cameras(const io::JsonView& json, const Info& info, DatasetInfo& out) {
  SINEW_TRY(json.expect_object());
  for (const std::string& name : json.keys()) {
    SINEW_ASSIGN(const io::JsonView entry, json.at(name));
    SINEW_TRY(entry.expect_object());
    SINEW_ASSIGN(const std::string feature, original_key(entry, "observation.images." + name));
    const auto found = info.features.find(feature);
    if (found == info.features.end() || !found->second.is_camera()) {
      return entry.error_here(fmt::format("info.json has no video or image feature '{}'; it has {}",
                                          feature, fmt::join(info.camera_features(), ", ")));
    }
    out.cameras[name] = feature;
  }
  return {};
}

Status parse_annotations(const io::JsonView& json, DatasetInfo& out) {
  SINEW_TRY(json.expect_object());
  for (const std::string& name : json.keys()) {
    SINEW_ASSIGN(const io::JsonView entry, json.at(name));
    SINEW_TRY(entry.expect_object());
    SINEW_ASSIGN(out.annotations[name], original_key(entry, "annotation." + name));
  }
  return {};
}

// A group over every dimension of a column, when info.json has the column.
void add_whole_column(const Info& info, const char* column, const std::string& name,
                      std::map<std::string, GroupInfo>& groups) {
  const auto feature = info.features.find(column);
  if (feature == info.features.end() || feature->second.shape.size() != 1 ||
      feature->second.shape[0] < 1 || feature->second.shape[0] > kMaxDims) {
    return;
  }
  GroupInfo group{column, 0, feature->second.shape[0], {}};
  name_dims(info, group);
  groups[name] = std::move(group);
}

}  // namespace

Status parse_modality(const io::JsonView& json, const Info& info, DatasetInfo& out) {
  SINEW_TRY(json.expect_object());
  if (json.has("state")) {
    SINEW_ASSIGN(const io::JsonView state, json.at("state"));
    SINEW_ASSIGN(out.state, parse_groups(state, info, kStateColumn));
  }
  if (json.has("action")) {
    SINEW_ASSIGN(const io::JsonView action, json.at("action"));
    SINEW_ASSIGN(out.action, parse_groups(action, info, kActionColumn));
  }
  if (json.has("video")) {
    SINEW_ASSIGN(const io::JsonView video, json.at("video"));
    SINEW_TRY(parse_cameras(video, info, out));
  }
  if (json.has("annotation")) {
    SINEW_ASSIGN(const io::JsonView annotation, json.at("annotation"));
    SINEW_TRY(parse_annotations(annotation, out));
  }
  return {};
}

void synthesise_modality(const Info& info, DatasetInfo& out) {
  add_whole_column(info, kStateColumn, "state", out.state);
  add_whole_column(info, kActionColumn, "action", out.action);
  std::vector<std::string> cameras;
  for (const auto& [name, feature] : info.features) {
    if (!feature.is_camera() || feature.is_depth) {
      continue;
    }
    std::string last = name.substr(name.rfind('.') + 1);  // npos + 1 is 0: the whole name
    if (out.cameras.contains(last)) {
      last = name;
    }
    cameras.push_back(fmt::format("{} ({})", last, name));
    out.cameras[last] = name;
  }
  out.annotations["human.task_description"] = "task_index";
  out.notices.push_back(fmt::format(
      "meta/modality.json is missing: assumed state group 'state' ({} dimensions), action group "
      "'action' ({}), cameras [{}], annotation human.task_description from task_index",
      out.state.contains("state") ? out.state["state"].end : 0,
      out.action.contains("action") ? out.action["action"].end : 0, fmt::join(cameras, ", ")));
}

}  // namespace sinew::dataset
