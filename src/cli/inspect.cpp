// `sinew inspect`: what is in a checkpoint or a data set, and how it will be run. Every part is one
// section with a text for people and a JSON value for programs.
#include "base/error.h"
#include "base/log.h"
#include "cli/action_file.h"
#include "cli/json_text.h"
#include "cli/policy_run.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "dataset/dataset.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "preprocess/config/processor_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace sinew::cli {
namespace {

struct Section {
  std::string name;  // key of the JSON document
  std::string text;
  io::Json json;
};

std::string heading(const std::string& title) {
  return has_colour(stdout) ? "\x1b[1m" + title + "\x1b[0m\n" : title + "\n";
}

Status print_sections(const std::vector<Section>& sections, bool as_json) {
  std::string result;
  if (as_json) {
    io::Json document = io::Json::object();
    for (const Section& section : sections) {
      document[section.name] = section.json;
    }
    result = json_text(document, -1);
  } else {
    for (const Section& section : sections) {
      result += (result.empty() ? "" : "\n") + section.text;
    }
  }
  return print_result(result);
}

std::vector<std::string> keys_of(const io::Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, unused] : object.items()) {
    keys.push_back(key);
  }
  return keys;
}

// Stops flags that `known` does not list: they would change nothing of what is shown.
Status check_effects(const FlagList& flags, std::span<const std::string_view> known,
                     std::string_view why) {
  for (const Flag& flag : flags.flags()) {
    if (flag.is_given && std::find(known.begin(), known.end(), flag.name) == known.end()) {
      return usage_error("--{} has no effect: {}", flag.name, why);
    }
  }
  return {};
}

// ---- checkpoint ----

Section checkpoint_overview(const io::Checkpoint& checkpoint) {
  std::map<std::string_view, int64_t> parameters;
  int64_t total = 0;
  for (const io::TensorEntry& tensor : checkpoint.tensors()) {
    parameters[dtype_name(tensor.view.dtype)] += tensor.view.shape.elements();
    total += tensor.view.shape.elements();
  }
  std::vector<std::pair<std::string, std::string>> rows{
      {"checkpoint", checkpoint.path().string()},
      {"tensors", std::to_string(checkpoint.tensors().size())},
      {"weight files", bytes_text(checkpoint.file_bytes())},
      {"parameters", std::to_string(total)}};
  io::Json by_type = io::Json::object();
  for (const auto& [name, count] : parameters) {
    rows.emplace_back(fmt::format("  of {}", name), std::to_string(count));
    by_type[std::string(name)] = count;
  }
  return {"checkpoint",
          listing(rows),
          {{"path", checkpoint.path().string()},
           {"tensors", checkpoint.tensors().size()},
           {"file_bytes", checkpoint.file_bytes()},
           {"parameters", total},
           {"parameters_by_type", by_type},
           {"notices", checkpoint.notices()}}};
}

// Tags with statistics, and their groups.
Section embodiments(const io::Checkpoint& checkpoint) {
  Table table({"embodiment", "state", "action", "relative action"});
  io::Json list = io::Json::object();
  const io::JsonView view(checkpoint.statistics());
  const io::Json& statistics = view.json();
  for (const std::string& tag : view.keys()) {
    std::vector<std::string> row{tag};
    for (const char* modality : {"state", "action", "relative_action"}) {
      const io::Json& entry = statistics[tag];
      const bool has_modality = entry.is_object() && entry.contains(modality);
      const std::vector<std::string> keys =
          has_modality ? keys_of(entry[modality]) : std::vector<std::string>{};
      row.push_back(fmt::format("{}", fmt::join(keys, " ")));
      list[tag][modality] = keys;
    }
    table.add(std::move(row));
  }
  return {"embodiments", table.text(has_colour(stdout)), list};
}

Section tensor_list(const io::Checkpoint& checkpoint) {
  Table table({"tensor", "type", "shape"});
  io::Json list = io::Json::array();
  for (const io::TensorEntry& tensor : checkpoint.tensors()) {
    const std::string type(dtype_name(tensor.view.dtype));
    table.add({tensor.name, type, tensor.view.shape.text()});
    const auto extents = tensor.view.shape.extents();
    list.push_back({{"name", tensor.name},
                    {"type", type},
                    {"shape", std::vector<int64_t>(extents.begin(), extents.end())}});
  }
  return {"tensors", table.text(has_colour(stdout)), list};
}

// Joint names by modality and group, from a data set.
using JointNames = std::map<std::string, std::map<std::string, std::vector<std::string>>>;

Result<JointNames> read_joint_names(const std::string& dataset_path) {
  JointNames names;
  if (dataset_path.empty()) {
    return names;
  }
  SINEW_ASSIGN(const std::unique_ptr<dataset::Dataset> data, dataset::Dataset::open(dataset_path));
  for (const auto& [key, group] : data->info().state) {
    names["state"][key] = group.dim_names;
  }
  for (const auto& [key, group] : data->info().action) {
    names["action"][key] = group.dim_names;
    names["relative_action"][key] = group.dim_names;
  }
  return names;
}

void add_statistics(const std::string& modality, const std::string& key,
                    const preprocess::Statistics& group, const std::vector<std::string>& joints,
                    Table& table, io::Json& json) {
  const std::array<const std::vector<double>*, 6> values{&group.min, &group.max, &group.mean,
                                                         &group.std, &group.q01, &group.q99};
  constexpr std::array kNames{"min", "max", "mean", "std", "q01", "q99"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    json[modality][key][kNames[i]] = *values[i];
  }
  json[modality][key]["joints"] = joints;
  for (int64_t i = 0; i < group.dims; ++i) {
    const bool is_named = std::ssize(joints) == group.dims;
    std::vector<std::string> row{fmt::format("{}.{}[{}]", modality, key, i),
                                 is_named ? joints[static_cast<size_t>(i)] : std::string()};
    for (const std::vector<double>* statistic : values) {
      // Relative actions have a row a step; the first one is shown.
      row.push_back(i < std::ssize(*statistic)
                        ? fmt::format("{:.4g}", (*statistic)[static_cast<size_t>(i)])
                        : std::string());
    }
    table.add(std::move(row));
  }
}

Section statistics_section(const preprocess::ProcessorConfig& config, const JointNames& joints) {
  Table table({"statistics of " + config.embodiment_tag, "joint", "min", "max", "mean", "std",
               "q01", "q99"},
              {false, false, true, true, true, true, true, true});
  io::Json json = io::Json::object();
  const preprocess::EmbodimentStatistics& all = config.statistics;
  using Groups = std::map<std::string, preprocess::Statistics>;
  const std::array<std::pair<const char*, const Groups*>, 3> modalities{
      {{"state", &all.state}, {"action", &all.action}, {"relative_action", &all.relative_action}}};
  for (const auto& [modality, groups] : modalities) {
    for (const auto& [key, group] : *groups) {
      std::vector<std::string> names;
      if (const auto found = joints.find(modality); found != joints.end()) {
        const auto of_key = found->second.find(key);
        names = of_key == found->second.end() ? names : of_key->second;
      }
      add_statistics(modality, key, group, names, table, json);
    }
  }
  return {"statistics", table.text(has_colour(stdout)), json};
}

Section config_section(const PolicyInfo& info) {
  Table table({"value", "is", "from", "note"});
  for (const ConfigRow& row : info.config) {
    table.add({row.key, row.value, row.origin, row.note});
  }
  return {"config", table.text(has_colour(stdout)), config_json(info)};
}

Section memory_section(const Policy::Memory& memory) {
  const size_t total =
      memory.weight_bytes + memory.arena_bytes + memory.workspace_bytes + memory.staging_bytes;
  Table table({"memory", "bytes", ""}, {false, true, true});
  const auto row = [&](const char* name, size_t bytes) {
    table.add({name, std::to_string(bytes), bytes_text(bytes)});
  };
  row("weights", memory.weight_bytes);
  row("activations", memory.arena_bytes);
  row("workspace", memory.workspace_bytes);
  row("staging", memory.staging_bytes);
  row("sum", total);
  return {"memory",
          table.text(has_colour(stdout)),
          {{"weights", memory.weight_bytes},
           {"activations", memory.arena_bytes},
           {"workspace", memory.workspace_bytes},
           {"staging", memory.staging_bytes},
           {"total", total}}};
}

// The parts that need the policy itself.
Status add_policy_sections(const InspectOptions& options, std::vector<Section>& sections) {
  SINEW_ASSIGN(LoadedPolicy loaded, load_policy(options.model));
  sections.push_back(config_section(loaded.policy.info()));
  if (options.plan) {
    SINEW_ASSIGN(const std::string plan, loaded.policy.plan_text(static_cast<int>(options.stage)));
    sections.push_back(
        {"plan", heading(fmt::format("plan, stage {}", options.stage)) + plan + "\n", plan});
  }
  if (options.memory) {
    SINEW_TRY(loaded.policy.warm_up());  // weights are packed for the first plan
    sections.push_back(memory_section(loaded.policy.memory()));
  }
  return {};
}

Status inspect_checkpoint(const InspectOptions& options, const FlagList& flags) {
  SINEW_ASSIGN(const JointNames joints, read_joint_names(options.dataset_path));
  const PolicyOptions& policy = options.model.policy;
  SINEW_ASSIGN(const io::Checkpoint checkpoint,
               io::Checkpoint::open(policy.model_path, {policy.processor_path}));
  std::vector<Section> sections{checkpoint_overview(checkpoint), embodiments(checkpoint)};
  if (options.tensors) {
    sections.push_back(tensor_list(checkpoint));
  }
  const bool is_settled =
      !policy.embodiment_tag.empty() || checkpoint.statistics().keys().size() == 1;
  Status status;
  if (is_settled) {
    Result<preprocess::ProcessorConfig> config =
        preprocess::resolve_processor_config(checkpoint, {policy.embodiment_tag});
    if (config.ok()) {
      sections.push_back(statistics_section(config.value(), joints));
      status = add_policy_sections(options, sections);
    } else {
      status = std::move(config).status();
    }
  } else {
    constexpr std::array<std::string_view, 6> kOfAll{"model-path", "processor-path", "tensors",
                                                     "json",       "verbose",        "quiet"};
    SINEW_TRY(check_effects(
        flags, kOfAll,
        fmt::format("it is about one embodiment; choose one with --embodiment-tag: {}",
                    fmt::join(checkpoint.statistics().keys(), ", "))));
    log_info("notice: --embodiment-tag TAG shows the resolved configuration and the statistics");
  }
  // What could be read is shown even when the rest could not; the exit code tells.
  SINEW_TRY(print_sections(sections, options.output.json));
  return status;
}

// ---- data set ----

void add_groups(const char* modality, const std::map<std::string, dataset::GroupInfo>& groups,
                Table& table, io::Json& json) {
  for (const auto& [key, group] : groups) {
    table.add({fmt::format("{}.{}", modality, key), group.column,
               fmt::format("{}:{}", group.start, group.end),
               fmt::format("{}", fmt::join(group.dim_names, " "))});
    json[modality][key] = {{"column", group.column},
                           {"start", group.start},
                           {"end", group.end},
                           {"joints", group.dim_names}};
  }
}

Status inspect_dataset(const InspectOptions& options, const FlagList& flags) {
  constexpr std::array<std::string_view, 4> kKnown{"model-path", "json", "verbose", "quiet"};
  SINEW_TRY(check_effects(
      flags, kKnown,
      fmt::format("it is about a checkpoint, {} is a data set", options.model.policy.model_path)));
  SINEW_ASSIGN(const std::unique_ptr<dataset::Dataset> data,
               dataset::Dataset::open(options.model.policy.model_path));
  const dataset::DatasetInfo& info = data->info();
  std::vector<Section> sections;
  sections.push_back({"dataset",
                      listing({{"data set", data->path().string()},
                               {"version", info.version},
                               {"robot", info.robot_type.empty() ? "not said" : info.robot_type},
                               {"episodes", std::to_string(info.episodes)},
                               {"frames", std::to_string(info.frames)},
                               {"frames a second",
                                fmt::format("{:g}{}", info.fps,
                                            info.is_fps_assumed ? " (assumed: not said)" : "")}}),
                      {{"path", data->path().string()},
                       {"version", info.version},
                       {"robot_type", info.robot_type},
                       {"episodes", info.episodes},
                       {"frames", info.frames},
                       {"fps", info.fps},
                       {"is_fps_assumed", info.is_fps_assumed},
                       {"notices", info.notices},
                       {"warnings", info.warnings}}});
  Table table({"group", "column", "slice", "joints"});
  io::Json json = io::Json::object();
  add_groups("state", info.state, table, json);
  add_groups("action", info.action, table, json);
  for (const auto& [key, feature] : info.cameras) {
    table.add({"video." + key, feature, "", ""});
  }
  for (const auto& [key, column] : info.annotations) {
    table.add({"annotation." + key, column, "", ""});
  }
  json["video"] = info.cameras;
  json["annotation"] = info.annotations;
  sections.push_back({"groups", table.text(has_colour(stdout)), json});
  for (const std::string& notice : info.notices) {
    log_info("notice: {}", notice);
  }
  for (const std::string& warning : info.warnings) {
    log_warning("{}", warning);
  }
  return print_sections(sections, options.output.json);
}

}  // namespace

Status run_inspect(const InspectOptions& options, const FlagList& flags) {
  const std::filesystem::path path = options.model.policy.model_path;
  if (path.empty()) {
    return usage_error("name a checkpoint folder or a data set to inspect");
  }
  if (flags.given("stage") && !options.plan) {
    return usage_error("--stage chooses what --plan prints; give --plan as well");
  }
  if (options.stage > 4) {
    return usage_error("--stage {}: the stages are 0 to 4", options.stage);
  }
  if (io::path_exists(path / "meta" / "info.json")) {
    return inspect_dataset(options, flags);
  }
  return inspect_checkpoint(options, flags);
}

}  // namespace sinew::cli
