#include "eval/saved_actions.h"

#include "base/error.h"
#include "eval/report.h"
#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace sinew::eval {
namespace {

// Columns [offset, offset + dims) of a row-major array with `width` columns.
std::vector<float> cut_columns(std::span<const float> values, int64_t width, int64_t offset,
                               int64_t dims) {
  std::vector<float> out;
  for (int64_t at = offset; at < std::ssize(values); at += width) {
    const auto row = values.subspan(static_cast<size_t>(at), static_cast<size_t>(dims));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

Status save_npy(const std::filesystem::path& path, const OpenLoopReport& report) {
  std::vector<float> rows;
  int64_t dims = 0;
  for (const TrajectoryResult& trajectory : report.trajectories) {
    rows.insert(rows.end(), trajectory.predicted.begin(), trajectory.predicted.end());
    dims = trajectory.dims;
  }
  const Shape shape{dims == 0 ? 0 : std::ssize(rows) / dims, dims};
  return io::write_file_atomic(path, io::format_npy({rows.data(), DType::kF32, shape}));
}

// One compared key of one trajectory, cut out.
struct KeyArrays {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

std::vector<KeyArrays> cut_keys(const TrajectoryResult& trajectory,
                                const std::vector<ComparedKey>& keys, const std::string& prefix,
                                std::span<const float> values) {
  std::vector<KeyArrays> out;
  int64_t offset = 0;
  for (const ComparedKey& key : keys) {
    out.push_back({prefix + key.key, Shape{trajectory.steps, key.dims},
                   cut_columns(values, trajectory.dims, offset, key.dims)});
    offset += key.dims;
  }
  return out;
}

Status save_npz(const std::filesystem::path& path, const OpenLoopReport& report) {
  std::vector<KeyArrays> arrays;
  for (const TrajectoryResult& trajectory : report.trajectories) {
    const std::string prefix = fmt::format("traj_{}.", trajectory.id);
    for (auto& part :
         {cut_keys(trajectory, report.keys, prefix + "predicted.", trajectory.predicted),
          cut_keys(trajectory, report.keys, prefix + "recorded.", trajectory.recorded)}) {
      arrays.insert(arrays.end(), part.begin(), part.end());
    }
  }
  std::vector<io::NpzWriteMember> members;
  members.reserve(arrays.size());
  for (const KeyArrays& array : arrays) {
    members.push_back({array.name, {array.values.data(), DType::kF32, array.shape}});
  }
  return io::write_npz(path, members);
}

Status save_json(const std::filesystem::path& path, const OpenLoopReport& report) {
  io::Json document = io::Json::array();
  for (const TrajectoryResult& trajectory : report.trajectories) {
    io::Json entry{{"id", trajectory.id}};
    for (const auto& [name, values] :
         {std::pair{"predicted", &trajectory.predicted}, {"recorded", &trajectory.recorded}}) {
      for (const KeyArrays& key : cut_keys(trajectory, report.keys, "", *values)) {
        entry[name][key.name] = rows_json(key.values, key.shape[1]);
      }
    }
    document.push_back(std::move(entry));
  }
  return io::write_file_atomic(path, document.dump() + "\n");
}

}  // namespace

std::string actions_csv(const OpenLoopReport& report) {
  std::string out = "trajectory,step";
  for (const char* kind : {"predicted", "recorded"}) {
    for (const ComparedKey& key : report.keys) {
      for (int64_t i = 0; i < key.dims; ++i) {
        fmt::format_to(std::back_inserter(out), ",{} {}[{}]", kind, key.key, i);
      }
    }
  }
  out += '\n';
  for (const TrajectoryResult& trajectory : report.trajectories) {
    for (int64_t row = 0; row < trajectory.steps; ++row) {
      fmt::format_to(std::back_inserter(out), "{},{}", trajectory.id, row);
      for (const std::vector<float>* values : {&trajectory.predicted, &trajectory.recorded}) {
        for (int64_t i = 0; i < trajectory.dims; ++i) {
          fmt::format_to(std::back_inserter(out), ",{}",
                         (*values)[static_cast<size_t>(row * trajectory.dims + i)]);
        }
      }
      out += '\n';
    }
  }
  return out;
}

Status check_saved_actions_path(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  for (const char* known : {".npy", ".npz", ".csv", ".json"}) {
    if (ending == known) {
      return {};
    }
  }
  return usage_error("--save-actions {}: the ending must be .npy, .npz, .csv or .json",
                     path.string());
}

Status save_actions(const std::filesystem::path& path, const OpenLoopReport& report) {
  SINEW_TRY(check_saved_actions_path(path));
  const std::string ending = path.extension().string();
  if (ending == ".npy") {
    return save_npy(path, report);
  }
  if (ending == ".npz") {
    return save_npz(path, report);
  }
  if (ending == ".csv") {
    return io::write_file_atomic(path, actions_csv(report));
  }
  return save_json(path, report);
}

}  // namespace sinew::eval
