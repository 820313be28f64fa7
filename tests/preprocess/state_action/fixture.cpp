#include "preprocess/state_action/fixture.h"

#include <gtest/gtest.h>

#include <cstring>

namespace sinew::preprocess::testing {

using io::Json;

Result<ProcessorConfig> Files::resolve(const std::string& tag) const {
  const ProcessorSources sources{{processor, "ck/processor_config.json"},
                                 {statistics, "ck/statistics.json"},
                                 {ids, "ck/embodiment_id.json"}};
  return resolve_processor_config(sources, {tag});
}

Json flat_statistics(int64_t dims) {
  Json out;
  for (int64_t i = 0; i < dims; ++i) {
    const auto edge = static_cast<double>(i + 1);
    out["min"].push_back(-edge);
    out["max"].push_back(edge);
    out["q01"].push_back(-0.9 * edge);
    out["q99"].push_back(0.9 * edge);
    out["mean"].push_back(0.25);
    out["std"].push_back(0.5);
  }
  return out;
}

Json stepwise_statistics(int64_t steps, int64_t dims) {
  Json out;
  for (int64_t t = 0; t < steps; ++t) {
    const auto edge = static_cast<double>(t + 1);
    const auto row = static_cast<size_t>(dims);
    out["min"].push_back(std::vector<double>(row, -edge));
    out["max"].push_back(std::vector<double>(row, 2 * edge));
    out["q01"].push_back(std::vector<double>(row, -0.9 * edge));
    out["q99"].push_back(std::vector<double>(row, 1.8 * edge));
    out["mean"].push_back(std::vector<double>(row, 0.25 * edge));
    out["std"].push_back(std::vector<double>(row, 0.5 * edge));
  }
  return out;
}

namespace {

Json modality(const std::vector<int64_t>& deltas, const std::vector<std::string>& keys) {
  return {{"delta_indices", deltas},
          {"modality_keys", keys},
          {"sin_cos_embedding_keys", nullptr},
          {"mean_std_embedding_keys", nullptr},
          {"action_configs", nullptr}};
}

Json action_config(const char* rep, const char* type, const char* format) {
  return {{"rep", rep}, {"type", type}, {"format", format}, {"state_key", nullptr}};
}

}  // namespace

Files example_files() {
  Files files;
  files.processor["processor_class"] = "Gr00tN1d6Processor";
  files.kwargs() = {{"use_albumentations", true}, {"shortest_image_edge", 256},
                    {"crop_fraction", 0.95},      {"max_state_dim", 32},
                    {"max_action_dim", 32},       {"use_relative_action", true}};
  Json& modalities = files.kwargs()["modality_configs"]["new_embodiment"];
  modalities["video"] = modality({0}, {"front"});
  modalities["state"] = modality({0}, {"arm", "grip", "eef"});
  modalities["action"] = modality({0, 1}, {"arm", "grip", "eef"});
  modalities["action"]["action_configs"] = {action_config("RELATIVE", "NON_EEF", "DEFAULT"),
                                            action_config("ABSOLUTE", "NON_EEF", "DEFAULT"),
                                            action_config("RELATIVE", "EEF", "XYZ_ROT6D")};
  modalities["language"] = modality({0}, {"annotation.human.task_description"});
  Json& statistics = files.statistics["new_embodiment"];
  for (const char* const group : {"state", "action"}) {
    statistics[group] = {
        {"arm", flat_statistics(3)}, {"grip", flat_statistics(1)}, {"eef", flat_statistics(9)}};
  }
  statistics["relative_action"] = {{"arm", stepwise_statistics(2, 3)},
                                   {"eef", stepwise_statistics(2, 9)}};
  files.ids = {{"new_embodiment", 7}};
  return files;
}

Files read_files(const std::string& folder) {
  return {read_json_or_fail(folder + "/processor_config.json"),
          read_json_or_fail(folder + "/statistics.json"),
          read_json_or_fail(folder + "/embodiment_id.json")};
}

ProcessorConfig resolve_or_fail(const Files& files, const std::string& tag) {
  Result<ProcessorConfig> config = files.resolve(tag);
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config.ok() ? std::move(config).value() : ProcessorConfig{};
}

Json read_json_or_fail(const std::string& path) {
  Result<Json> json = io::read_json_file(path);
  EXPECT_TRUE(json.ok()) << json.status().message();
  return json.ok() ? std::move(json).value() : Json{};
}

Samples read_samples(const io::SafetensorsFile& file, const std::string& name) {
  Samples samples;
  const io::TensorEntry* const entry = file.find(name);
  if (entry == nullptr) {
    ADD_FAILURE() << file.path() << " has no " << name;
    return samples;
  }
  const auto count = static_cast<size_t>(entry->view.shape.elements());
  std::vector<double> all(count);
  if (entry->view.dtype == DType::kF64) {
    std::memcpy(all.data(), entry->view.data, count * sizeof(double));
  } else {
    std::vector<float> floats(count);
    io::convert_to_f32(entry->view, floats);
    all.assign(floats.begin(), floats.end());
  }
  const auto extents = entry->view.shape.extents();
  samples.extents.assign(extents.begin() + 1, extents.end());
  const size_t size = count / static_cast<size_t>(extents[0]);
  for (auto at = all.begin(); at != all.end(); at += static_cast<std::ptrdiff_t>(size)) {
    samples.values.emplace_back(at, at + static_cast<std::ptrdiff_t>(size));
  }
  return samples;
}

void States::add(const std::string& key, std::vector<float> numbers) {
  keys.push_back(key);
  values.push_back(std::move(numbers));
}

std::vector<StateGroup> States::groups() const {
  std::vector<StateGroup> out;
  for (size_t i = 0; i < keys.size(); ++i) {
    out.push_back({keys[i], values[i], steps, static_cast<int64_t>(values[i].size()) / steps});
  }
  return out;
}

std::vector<float> to_floats(const std::vector<double>& values) {
  std::vector<float> out;
  out.reserve(values.size());
  for (const double value : values) {
    out.push_back(static_cast<float>(value));
  }
  return out;
}

}  // namespace sinew::preprocess::testing
