// Statistics of a whole data set: what training normalised by (spec/dataset.md sections 2 and 3).
#include "dataset/statistics.h"

#include "base/error.h"
#include "dataset/info.h"
#include "dataset/parquet_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace sinew::dataset {
namespace {

// The values of one feature, dimension by dimension: quantiles sort each one.
struct Samples {
  std::vector<std::vector<float>> dims;
};

struct Summary {
  double mean = 0, std = 0, min = 0, max = 0, q01 = 0, q99 = 0;
};

// NumPy's linear quantile of sorted f32 values: the difference of the neighbours is taken in f32,
// the interpolation in f64, from the nearer end.
double quantile(const std::vector<float>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(place);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  const double fraction = place - static_cast<double>(low);
  const double step = static_cast<double>(sorted[high] - sorted[low]);
  return fraction < 0.5 ? static_cast<double>(sorted[low]) + step * fraction
                        : static_cast<double>(sorted[high]) - step * (1 - fraction);
}

// Sums are in f64 where the original sums in f32; mean and std are rounded to f32, as it writes.
// Sorts `values`, which must not be empty.
Summary summarise(std::vector<float>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const float value : values) {
    sum += static_cast<double>(value);
  }
  const double mean = sum / count;
  double squares = 0;
  for (const float value : values) {
    const double offset = static_cast<double>(value) - mean;
    squares += offset * offset;
  }
  std::sort(values.begin(), values.end());
  Summary out;
  out.mean = static_cast<double>(static_cast<float>(mean));
  out.std = static_cast<double>(static_cast<float>(std::sqrt(squares / count)));
  out.min = static_cast<double>(values.front());
  out.max = static_cast<double>(values.back());
  out.q01 = quantile(values, 0.01);
  out.q99 = quantile(values, 0.99);
  return out;
}

// {"mean": [dims], ...}.
io::Json to_json(Samples& samples) {
  io::Json out = {{"mean", io::Json::array()}, {"std", io::Json::array()},
                  {"min", io::Json::array()},  {"max", io::Json::array()},
                  {"q01", io::Json::array()},  {"q99", io::Json::array()}};
  for (std::vector<float>& values : samples.dims) {
    const Summary summary = summarise(values);
    out["mean"].push_back(summary.mean);
    out["std"].push_back(summary.std);
    out["min"].push_back(summary.min);
    out["max"].push_back(summary.max);
    out["q01"].push_back(summary.q01);
    out["q99"].push_back(summary.q99);
  }
  return out;
}

Status add_column(const Column& column, const std::string& where, Samples& samples) {
  if (column.kind != Column::Kind::kNumbers) {
    return bad_input("{}: column '{}' holds texts, and info.json says float", where, column.name);
  }
  const auto width = static_cast<size_t>(column.width);
  if (samples.dims.empty()) {
    samples.dims.resize(width);
  }
  if (column.rows > 0 && samples.dims.size() != width) {
    return bad_input("{}: column '{}' has {} values a row, the files before it have {}", where,
                     column.name, width, samples.dims.size());
  }
  for (size_t i = 0; i < column.numbers.size(); ++i) {
    const double number = column.numbers[i];
    if (!(std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max()))) {
      return bad_input("{}: column '{}', row {}: expected a finite f32 number, found {}", where,
                       column.name, i / width, number);
    }
    samples.dims[i % width].push_back(static_cast<float>(number));
  }
  return {};
}

// Adds the windows of one episode: rel[t] = action[i + delta[t]] - state[i + last state delta].
Status add_windows(const Step::Values& action, const Step::Values& state,
                   const std::vector<int64_t>& deltas, int64_t state_delta,
                   std::vector<Samples>& samples) {
  const int64_t windows = action.steps - deltas.back();
  const auto dims = static_cast<size_t>(action.dims);
  for (int64_t i = 0; i < windows; ++i) {
    for (size_t t = 0; t < deltas.size(); ++t) {
      samples[t].dims.resize(dims);
      const int64_t action_row = i + deltas[t];
      const int64_t state_row = i + state_delta;
      if (action_row < 0 || action_row >= action.steps || state_row < 0 ||
          state_row >= state.steps) {
        return bad_input("window {} of {} rows reaches row {}", i, action.steps,
                         std::min(action_row, state_row));
      }
      for (size_t d = 0; d < dims; ++d) {
        samples[t].dims[d].push_back(action.values[static_cast<size_t>(action_row) * dims + d] -
                                     state.values[static_cast<size_t>(state_row) * dims + d]);
      }
    }
  }
  return {};
}

// {"max": [steps][dims], ...}.
io::Json windows_to_json(std::vector<Samples>& samples) {
  io::Json out;
  for (Samples& step : samples) {
    const io::Json one = to_json(step);
    for (const auto& [name, values] : one.items()) {
      out[name].push_back(values);
    }
  }
  return out;
}

struct RelativeKey {
  std::string action, state;
};

Result<std::vector<RelativeKey>> relative_keys(const preprocess::Modalities& modalities) {
  const preprocess::ModalityConfig& action = modalities.action;
  std::vector<RelativeKey> keys;
  for (size_t i = 0; i < action.keys.size() && i < action.action_configs.size(); ++i) {
    const preprocess::ActionConfig& config = action.action_configs[i];
    if (config.representation != preprocess::ActionRepresentation::kRelative) {
      continue;
    }
    if (config.type == preprocess::ActionType::kEef) {
      return unsupported(
          "action '{}' is an end-effector pose: relative statistics are defined for "
          "joints only",
          action.keys[i]);
    }
    keys.push_back({action.keys[i], config.state_key.empty() ? action.keys[i] : config.state_key});
  }
  if (keys.empty()) {
    return keys;
  }
  const std::vector<int64_t>& state_deltas = modalities.state.delta_indices;
  if (state_deltas.empty() || action.delta_indices.empty() ||
      state_deltas.back() != action.delta_indices.front()) {
    return bad_input("relative actions need the last state delta to be the first action delta");
  }
  constexpr int64_t kMaxDelta = 1 << 20;
  for (const int64_t delta : action.delta_indices) {
    if (delta < -kMaxDelta || delta > kMaxDelta) {
      return bad_input("action delta {} is out of range", delta);
    }
  }
  return keys;
}

}  // namespace

Result<io::Json> compute_stats(const Dataset& dataset, const Progress& progress) {
  SINEW_ASSIGN(const Info info, read_info(dataset.path()));
  std::vector<std::string> names;
  for (const auto& [name, feature] : info.features) {
    if (feature.is_float()) {
      names.push_back(name);
    }
  }
  SINEW_ASSIGN(const std::vector<std::filesystem::path> files,
               list_parquet_files(dataset.path() / "data"));
  std::map<std::string, Samples> samples;
  int64_t done = 0;
  for (const std::filesystem::path& path : files) {
    SINEW_ASSIGN(const ParquetFile file, ParquetFile::open(path));
    SINEW_ASSIGN(const std::vector<Column> columns, file.read(names, {0, file.rows()}));
    for (const Column& column : columns) {
      SINEW_TRY(add_column(column, file.where(), samples[column.name]));
    }
    if (progress) {
      progress(++done, static_cast<int64_t>(files.size()));
    }
  }
  io::Json out = io::Json::object();
  for (auto& [name, values] : samples) {
    if (values.dims.empty() || values.dims.front().empty()) {
      return bad_input("{}: column '{}' has no values", dataset.path().string(), name);
    }
    out[name] = to_json(values);
  }
  return out;
}

Result<io::Json> compute_relative_stats(const Dataset& dataset,
                                        const preprocess::Modalities& modalities,
                                        const Progress& progress) {
  SINEW_ASSIGN(const std::vector<RelativeKey> keys, relative_keys(modalities));
  io::Json out = io::Json::object();
  if (keys.empty()) {
    return out;
  }
  const std::vector<int64_t>& deltas = modalities.action.delta_indices;
  const int64_t state_delta = modalities.state.delta_indices.back();
  std::map<std::string, std::vector<Samples>> samples;  // by action key, [steps]
  for (int64_t e = 0; e < dataset.info().episodes; ++e) {
    SINEW_ASSIGN(const std::unique_ptr<Episode> episode, dataset.open_episode(e));
    for (const RelativeKey& key : keys) {
      SINEW_ASSIGN(const Step::Values action, episode->action(key.action));
      SINEW_ASSIGN(const Step::Values state, episode->state(key.state));
      if (action.dims != state.dims) {
        return bad_input("action '{}' has {} dimensions and its state '{}' has {}", key.action,
                         action.dims, key.state, state.dims);
      }
      std::vector<Samples>& steps = samples[key.action];
      steps.resize(deltas.size());
      if (Status added = add_windows(action, state, deltas, state_delta, steps); !added.ok()) {
        return std::move(added).with(
            fmt::format("relative statistics of '{}', episode {}", key.action, episode->index()));
      }
    }
    if (progress) {
      progress(e + 1, dataset.info().episodes);
    }
  }
  for (auto& [name, steps] : samples) {
    if (steps.front().dims.empty()) {
      return bad_input("{}: no episode is as long as the action horizon of '{}'",
                       dataset.path().string(), name);
    }
    out[name] = windows_to_json(steps);
  }
  return out;
}

}  // namespace sinew::dataset
