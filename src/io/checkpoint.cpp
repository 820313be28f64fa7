#include "io/checkpoint.h"

#include "base/error.h"
#include "io/file.h"
#include "io/name_list.h"
#include "io/weight_files.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace sinew::io {
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kProcessorConfig = "processor_config.json";
constexpr const char* kStatistics = "statistics.json";
constexpr const char* kEmbodimentId = "embodiment_id.json";
constexpr std::string_view kCheckpointPrefix = "checkpoint-";

// The digits of "checkpoint-1200" or "checkpoint-1200-best-mse"; empty for other names.
std::string_view step_digits(std::string_view name) {
  if (!name.starts_with(kCheckpointPrefix)) {
    return {};
  }
  name.remove_prefix(kCheckpointPrefix.size());
  const std::string_view digits = name.substr(0, name.find('-'));
  return digits.find_first_not_of("0123456789") == std::string_view::npos ? digits
                                                                          : std::string_view();
}

// Names of the checkpoint-N folders inside a folder, by N.
std::vector<std::string> nested_checkpoints(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!step_digits(name).empty()) {
      names.push_back(std::move(name));
    }
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    const size_t a_size = step_digits(a).size();
    const size_t b_size = step_digits(b).size();
    return a_size != b_size ? a_size < b_size : a < b;
  });
  return names;
}

Status check_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!path_exists(folder)) {
    return not_found("{}: no such checkpoint folder", folder.string());
  }
  if (!std::filesystem::is_directory(folder, ignored)) {
    return bad_input("{}: expected a checkpoint folder, found a file; give the folder it lies in",
                     folder.string());
  }
  if (path_exists(folder / kConfig)) {
    return {};
  }
  const std::vector<std::string> nested = nested_checkpoints(folder);
  if (!nested.empty()) {
    return not_found(
        "{}: expected a checkpoint folder with {}, found the checkpoint folders {}; give one of "
        "them",
        folder.string(), kConfig, name_list(nested));
  }
  return not_found(
      "{}: expected a checkpoint folder with {}, {}, {} and model*.safetensors, found no {}; give "
      "the "
      "folder that holds them",
      folder.string(), kConfig, kProcessorConfig, kStatistics, kConfig);
}

struct ProcessorFolder {
  std::filesystem::path path;
  std::string notice;  // empty when the files lie beside the model
};

// Where the processor files are (spec/checkpoint.md section 1, folder variants).
Result<ProcessorFolder> find_processor_folder(const std::filesystem::path& folder,
                                              const CheckpointOptions& options) {
  ProcessorFolder found{folder, ""};
  if (!options.processor_path.empty()) {
    found.path = options.processor_path;
    found.notice = "processor files are those of " + found.path.string();
  } else if (!path_exists(folder / kProcessorConfig) && !path_exists(folder / kStatistics) &&
             path_exists(folder / "processor")) {
    found.path = folder / "processor";
    found.notice = "processor files found in " + found.path.string();
  }
  std::vector<std::string> missing;
  for (const char* name : {kProcessorConfig, kStatistics}) {
    if (!path_exists(found.path / name)) {
      missing.emplace_back(name);
    }
  }
  if (missing.empty()) {
    return found;
  }
  const bool best_metric = folder.lexically_normal().string().find("-best-") != std::string::npos;
  return not_found(
      "{}: expected the processor files {} and {}, found {} missing{}; give the folder of the same "
      "training run that holds them: --processor DIR",
      found.path.string(), kProcessorConfig, kStatistics, name_list(missing),
      best_metric ? " (a \"best metric\" folder is saved without them)" : "");
}

Result<Json> read_object(const std::filesystem::path& path) {
  SINEW_ASSIGN(Json json, read_json_file(path));
  SINEW_TRY(JsonView(json, path.string()).expect_object());
  return json;
}

// spec/seed-features.md 33: the step a person expects to see beside the results.
std::string global_step_notice(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::weakly_canonical(folder, error);
  for (std::filesystem::path part = error ? folder : absolute; part.has_relative_path();
       part = part.parent_path()) {
    const std::string name = part.filename().string();
    if (const std::string_view digits = step_digits(name); !digits.empty()) {
      return fmt::format("global step {}", digits);
    }
  }
  return "global step unknown: no checkpoint-<step> in the path";
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& folder,
                                    const CheckpointOptions& options) {
  SINEW_TRY(check_folder(folder));
  Checkpoint checkpoint;
  checkpoint.path_ = folder;

  checkpoint.config_where_ = (folder / kConfig).string();
  SINEW_ASSIGN(checkpoint.config_, read_object(checkpoint.config_where_));
  SINEW_ASSIGN(ProcessorFolder processor, find_processor_folder(folder, options));
  checkpoint.processor_config_where_ = (processor.path / kProcessorConfig).string();
  SINEW_ASSIGN(checkpoint.processor_config_, read_object(checkpoint.processor_config_where_));
  checkpoint.statistics_where_ = (processor.path / kStatistics).string();
  SINEW_ASSIGN(checkpoint.statistics_, read_object(checkpoint.statistics_where_));
  checkpoint.embodiment_ids_where_ = (processor.path / kEmbodimentId).string();
  if (path_exists(checkpoint.embodiment_ids_where_)) {
    SINEW_ASSIGN(checkpoint.embodiment_ids_, read_object(checkpoint.embodiment_ids_where_));
  }

  SINEW_ASSIGN(WeightFiles weights, open_weight_files(folder));
  checkpoint.shards_ = std::move(weights.shards);
  checkpoint.tensors_ = std::move(weights.tensors);
  for (const SafetensorsFile& shard : checkpoint.shards_) {
    checkpoint.file_bytes_ += shard.file_bytes();
  }

  checkpoint.notices_ = std::move(weights.notices);
  if (!processor.notice.empty()) {
    checkpoint.notices_.push_back(std::move(processor.notice));
  }
  checkpoint.notices_.push_back(global_step_notice(folder));
  return checkpoint;
}

const TensorEntry* Checkpoint::find(std::string_view name) const {
  return find_tensor(tensors_, name);
}

}  // namespace sinew::io
