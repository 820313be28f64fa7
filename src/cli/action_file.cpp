#include "cli/action_file.h"

#include "base/error.h"
#include "cli/json_text.h"
#include "eval/report.h"
#include "io/file.h"
#include "io/npy.h"
#include "io/safetensors.h"

#include <string>
#include <utility>
#include <vector>

namespace sinew::cli {
namespace {

struct BatchArray {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

// The chunks side by side on a leading axis.
std::vector<BatchArray> batch_arrays(std::span<const ActionChunk> chunks) {
  std::vector<BatchArray> arrays;
  const auto batch = std::ssize(chunks);
  const ActionChunk& first = chunks.front();
  for (size_t k = 0; k < first.actions.size(); ++k) {
    const ActionValues& action = first.actions[k];
    BatchArray array{"action." + action.key, Shape{batch, action.steps, action.dims}, {}};
    for (const ActionChunk& chunk : chunks) {
      const std::vector<float>& values = chunk.actions[k].values;
      array.values.insert(array.values.end(), values.begin(), values.end());
    }
    arrays.push_back(std::move(array));
  }
  BatchArray normalized{"normalized", Shape{batch, first.horizon, first.max_action_dim}, {}};
  for (const ActionChunk& chunk : chunks) {
    normalized.values.insert(normalized.values.end(), chunk.normalized.begin(),
                             chunk.normalized.end());
  }
  arrays.push_back(std::move(normalized));
  return arrays;
}

}  // namespace

io::Json config_json(const PolicyInfo& info) {
  io::Json config = io::Json::object();
  for (const ConfigRow& row : info.config) {
    config[row.key] = {{"value", row.value}, {"origin", row.origin}};
    if (!row.note.empty()) {
      config[row.key]["note"] = row.note;
    }
  }
  return config;
}

io::Json chunk_json(const ActionChunk& chunk, const PolicyInfo& info) {
  io::Json actions = io::Json::object();
  for (const ActionValues& action : chunk.actions) {
    actions[action.key] = eval::rows_json(action.values, action.dims);
  }
  return {{"actions", std::move(actions)},
          {"normalized", eval::rows_json(chunk.normalized, chunk.max_action_dim)},
          {"timings_ms", eval::timings_json(chunk.timings)},
          {"config", config_json(info)},
          {"notices", info.notices},
          {"warnings", info.warnings}};
}

io::Json chunks_json(std::span<const ActionChunk> chunks, const PolicyInfo& info) {
  if (chunks.size() == 1) {
    return chunk_json(chunks.front(), info);
  }
  io::Json list = io::Json::array();
  for (const ActionChunk& chunk : chunks) {
    list.push_back(chunk_json(chunk, info));
  }
  return list;
}

Status check_action_path(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".json" || ending == ".npz" || ending == ".safetensors") {
    return {};
  }
  return usage_error("--output {}: the ending must be .json, .npz or .safetensors", path.string());
}

Status write_actions(const std::filesystem::path& path, std::span<const ActionChunk> chunks,
                     const PolicyInfo& info) {
  SINEW_TRY(check_action_path(path));
  const std::string ending = path.extension().string();
  if (ending == ".json") {
    return io::write_file_atomic(path, json_text(chunks_json(chunks, info), 1));
  }
  const std::vector<BatchArray> arrays = batch_arrays(chunks);
  if (ending == ".npz") {
    std::vector<io::NpzWriteMember> members;
    members.reserve(arrays.size());
    for (const BatchArray& array : arrays) {
      members.push_back({array.name, {array.values.data(), DType::kF32, array.shape}});
    }
    return io::write_npz(path, members);
  }
  std::vector<io::NamedTensor> tensors;
  tensors.reserve(arrays.size());
  for (const BatchArray& array : arrays) {
    tensors.push_back({array.name, {array.values.data(), DType::kF32, array.shape}});
  }
  return io::write_safetensors(path, tensors);
}

}  // namespace sinew::cli
