#include "io/weight_files.h"

#include "base/error.h"
#include "io/file.h"
#include "io/json.h"
#include "io/name_list.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

namespace sinew::io {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

using ShardMap = std::map<std::string, std::vector<std::string>>;  // file name to tensor names

// A name that stays inside the folder.
bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

Result<ShardMap> read_index(const std::filesystem::path& path) {
  SINEW_ASSIGN(const Json json, read_json_file(path));
  SINEW_ASSIGN(const JsonView weight_map, JsonView(json, path.string()).at("weight_map"));
  SINEW_TRY(weight_map.expect_object());
  ShardMap shards;
  for (const std::string& tensor : weight_map.keys()) {
    SINEW_ASSIGN(const JsonView member, weight_map.at(tensor));
    SINEW_ASSIGN(const std::string shard, member.as_string());
    if (!is_plain_file_name(shard)) {
      return member.error_here(fmt::format(
          "expected the name of a file in the same folder, found \"{}\"; fetch the index again",
          shard));
    }
    shards[shard].push_back(tensor);
  }
  if (shards.empty()) {
    return weight_map.error_here("expected the tensors of the checkpoint, found none");
  }
  return shards;
}

// The weights that other tools write and sinew does not read, for the message about missing ones.
std::string other_weights_hint(const std::filesystem::path& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::filesystem::path name = it->path().filename();
    if (name.extension() == ".safetensors" || name.extension() == ".bin" ||
        name.extension() == ".pt") {
      found.push_back(name.string());
    }
  }
  std::sort(found.begin(), found.end());
  return found.empty() ? "no weights" : "only " + name_list(found);
}

Status check_shards_exist(const std::filesystem::path& folder, const ShardMap& shards) {
  std::vector<std::string> missing;
  for (const auto& [shard, tensors] : shards) {
    if (!path_exists(folder / shard)) {
      missing.push_back(shard);
    }
  }
  if (!missing.empty()) {
    return not_found(
        "{}: expected the {} shards that {} lists, found {} missing: {}; fetch them again",
        folder.string(), shards.size(), kIndexFile, missing.size(), name_list(missing));
  }
  return {};
}

// `listed` is sorted, as are the tensors of the shard.
Status check_listed_tensors(const SafetensorsFile& shard, std::span<const std::string> listed,
                            std::vector<std::string>& notices) {
  std::vector<std::string> missing;
  for (const std::string& name : listed) {
    if (shard.find(name) == nullptr) {
      missing.push_back(name);
    }
  }
  if (!missing.empty()) {
    return not_found(
        "{}: expected the {} tensors that {} lists, found {} missing: {}; index and shard belong "
        "to different checkpoints, or one is damaged: fetch both again",
        shard.path().string(), listed.size(), kIndexFile, missing.size(), name_list(missing));
  }
  std::vector<std::string> unlisted;
  for (const TensorEntry& tensor : shard.tensors()) {
    if (!std::binary_search(listed.begin(), listed.end(), tensor.name)) {
      unlisted.push_back(tensor.name);
    }
  }
  if (!unlisted.empty()) {
    notices.push_back(fmt::format("{}: {} tensors are not listed in {}: {}",
                                  shard.path().filename().string(), unlisted.size(), kIndexFile,
                                  name_list(unlisted)));
  }
  return {};
}

// bitsandbytes stores the scales of its 4-bit weights under such names.
bool is_four_bit_extra(std::string_view name) {
  return name.ends_with(".absmax") || name.ends_with(".quant_map") ||
         name.find(".quant_state.") != std::string_view::npos;
}

Status merge_tensors(WeightFiles& files) {
  for (const SafetensorsFile& shard : files.shards) {
    const std::span<const TensorEntry> tensors = shard.tensors();
    files.tensors.insert(files.tensors.end(), tensors.begin(), tensors.end());
    for (const TensorEntry& tensor : tensors) {
      if (is_four_bit_extra(tensor.name)) {
        return bad_input(
            "{}: expected weights in F32, F16 or BF16, found the 4-bit (bitsandbytes) tensor {}; "
            "use the checkpoint that it was quantised from",
            shard.path().string(), tensor.name);
      }
    }
  }
  std::sort(files.tensors.begin(), files.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(
      files.tensors.begin(), files.tensors.end(),
      [](const TensorEntry& a, const TensorEntry& b) { return a.name == b.name; });
  if (twice == files.tensors.end()) {
    return {};
  }
  std::vector<std::string> holders;
  for (const SafetensorsFile& shard : files.shards) {
    if (shard.find(twice->name) != nullptr) {
      holders.push_back(shard.path().string());
    }
  }
  return bad_input("expected each tensor in one shard, found {} in {}; fetch the checkpoint again",
                   twice->name, name_list(holders));
}

}  // namespace

Result<WeightFiles> open_weight_files(const std::filesystem::path& folder) {
  WeightFiles files;
  const std::filesystem::path index = folder / kIndexFile;
  const std::filesystem::path single = folder / kSingleFile;
  if (path_exists(index)) {
    SINEW_ASSIGN(const ShardMap shards, read_index(index));
    SINEW_TRY(check_shards_exist(folder, shards));
    for (const auto& [name, listed] : shards) {
      SINEW_ASSIGN(SafetensorsFile shard, SafetensorsFile::open(folder / name));
      SINEW_TRY(check_listed_tensors(shard, listed, files.notices));
      files.shards.push_back(std::move(shard));
    }
    if (path_exists(single) && !shards.contains(kSingleFile)) {
      files.notices.push_back(
          fmt::format("{} is ignored: {} lists other files", kSingleFile, kIndexFile));
    }
  } else if (path_exists(single)) {
    SINEW_ASSIGN(SafetensorsFile shard, SafetensorsFile::open(single));
    files.shards.push_back(std::move(shard));
  } else {
    return not_found("{}: expected {} or {} with its shards, found {}", folder.string(),
                     kSingleFile, kIndexFile, other_weights_hint(folder));
  }
  SINEW_TRY(merge_tensors(files));
  return files;
}

}  // namespace sinew::io
