#include "synth/checkpoint.h"

#include "base/error.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "io/scratch_folder.h"
#include "model/gr00t_n1d6/weights.h"
#include "synth/configuration.h"
#include "synth/tokenizer_files.h"
#include "synth/weight_values.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace sinew::synth {
namespace {

namespace fs = std::filesystem;
using model::gr00t_n1d6::TensorShape;

constexpr size_t kPieceElements = size_t{1} << 21;          // written at a time
constexpr uintmax_t kOtherFilesBytes = uintmax_t{4} << 20;  // everything but weights, generously

using Shard = std::vector<TensorShape>;

size_t stored_bytes(const TensorShape& tensor) {
  return static_cast<size_t>(tensor.shape.elements()) * sizeof(Bf16);
}

// Tensors in order of their names; a shard is closed when the next one would not fit.
std::vector<Shard> make_shards(const Profile& profile) {
  std::vector<Shard> shards(1);
  size_t filled = 0;
  for (TensorShape& tensor : model::gr00t_n1d6::checkpoint_tensors(profile.network)) {
    const size_t size = stored_bytes(tensor);
    if (!shards.back().empty() && filled + size > profile.shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    filled += size;
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

CheckpointSummary summarize(const std::vector<Shard>& shards) {
  CheckpointSummary summary;
  summary.shards = static_cast<int64_t>(shards.size());
  for (const Shard& shard : shards) {
    for (const TensorShape& tensor : shard) {
      ++summary.tensors;
      summary.parameters += tensor.shape.elements();
      summary.tensor_bytes += stored_bytes(tensor);
    }
  }
  return summary;
}

std::string shard_name(size_t index, size_t count) {
  return fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

// Whether the folder can be made, asked before long work.
Status check_destination(const fs::path& folder, size_t tensor_bytes) {
  std::error_code error;
  const fs::path parent = folder.parent_path();
  if (fs::exists(folder, error) &&
      (!fs::is_directory(folder, error) || !fs::is_empty(folder, error))) {
    return bad_input("{}: exists and is not an empty folder: name another, or remove it",
                     folder.string());
  }
  if (!fs::is_directory(parent, error)) {
    return not_found("{}: cannot be made: the folder {} does not exist", folder.string(),
                     parent.string());
  }
  if (::access(parent.c_str(), W_OK | X_OK) != 0) {
    return bad_input("{}: cannot be made: {} is not writable", folder.string(), parent.string());
  }
  const fs::space_info space = fs::space(parent, error);
  const uintmax_t needed = tensor_bytes + kOtherFilesBytes;
  if (!error && space.available < needed) {
    return bad_input(
        "{}: needs {:.2f} GB, {} has {:.2f} GB free: free some space or choose another disk",
        folder.string(), static_cast<double>(needed) * 1e-9, parent.string(),
        static_cast<double>(space.available) * 1e-9);
  }
  return {};
}

class WeightWriter {
 public:
  WeightWriter(uint64_t seed, size_t total_bytes, const OnProgress& on_progress)
      : seed_(seed), total_bytes_(total_bytes), on_progress_(on_progress), piece_(kPieceElements) {}

  Status write_shard(const Shard& shard, const fs::path& path) {
    std::vector<io::NamedTensor> tensors;
    for (const TensorShape& tensor : shard) {
      tensors.push_back({tensor.name, {nullptr, DType::kBf16, tensor.shape}});
    }
    return io::stream_safetensors(
        path, tensors, {{"format", "pt"}},
        [&](size_t index, const io::ByteSink& sink) { return write_tensor(shard[index], sink); });
  }

 private:
  Status write_tensor(const TensorShape& tensor, const io::ByteSink& sink) {
    const WeightValues values(seed_, tensor);
    const int64_t elements = tensor.shape.elements();
    for (int64_t first = 0; first < elements; first += std::ssize(piece_)) {
      const std::span<Bf16> piece = std::span(piece_).first(
          static_cast<size_t>(std::min(std::ssize(piece_), elements - first)));
      values.fill(first, piece);
      SINEW_TRY(sink(std::as_bytes(piece)));
      done_bytes_ += piece.size_bytes();
      SINEW_TRY(on_progress_ ? on_progress_(done_bytes_, total_bytes_) : Status());
    }
    return {};
  }

  uint64_t seed_;
  size_t total_bytes_;
  size_t done_bytes_ = 0;
  const OnProgress& on_progress_;
  std::vector<Bf16> piece_;
};

Status write_json(const fs::path& path, const io::Json& json) {
  return io::write_file_atomic(path, json.dump(2) + "\n");
}

Status write_small_files(const Profile& profile, const fs::path& folder) {
  SINEW_TRY(write_json(folder / "config.json", policy_config(profile)));
  SINEW_TRY(write_json(folder / "processor_config.json", processor_config(profile)));
  SINEW_TRY(write_json(folder / "statistics.json", statistics(profile)));
  SINEW_TRY(write_json(folder / "embodiment_id.json", embodiment_ids(profile)));
  const fs::path eagle = folder / "eagle";
  std::error_code error;
  fs::create_directory(eagle, error);
  if (error) {
    return bad_input("{}: cannot be made: {}", eagle.string(), error.message());
  }
  const TokenizerTexts texts = make_tokenizer_texts(profile.first_added_token);
  SINEW_TRY(write_json(eagle / "config.json", vlm_config(profile)));
  SINEW_TRY(io::write_file_atomic(eagle / "vocab.json", texts.vocab));
  SINEW_TRY(io::write_file_atomic(eagle / "merges.txt", texts.merges));
  return io::write_file_atomic(eagle / "added_tokens.json", texts.added);
}

}  // namespace

CheckpointSummary summarize(const Profile& profile) {
  return summarize(make_shards(profile));
}

Result<CheckpointSummary> write_checkpoint(const Profile& profile, uint64_t seed,
                                           const fs::path& folder, const OnProgress& on_progress) {
  const std::vector<Shard> shards = make_shards(profile);
  const CheckpointSummary summary = summarize(shards);
  std::error_code error;
  fs::path destination = fs::absolute(folder, error).lexically_normal();
  if (!destination.has_filename()) {
    destination = destination.parent_path();  // "DIR/"
  }
  SINEW_TRY(check_destination(destination, summary.tensor_bytes));
  SINEW_ASSIGN(io::ScratchFolder scratch, io::ScratchFolder::create(destination.parent_path()));
  SINEW_TRY(write_small_files(profile, scratch.path()));
  WeightWriter writer(seed, summary.tensor_bytes, on_progress);
  io::Json weight_map = io::Json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i, shards.size());
    SINEW_TRY(writer.write_shard(shards[i], scratch.path() / name));
    for (const TensorShape& tensor : shards[i]) {
      weight_map[tensor.name] = name;
    }
  }
  SINEW_TRY(write_json(
      scratch.path() / "model.safetensors.index.json",
      {{"metadata", {{"total_size", summary.tensor_bytes}}}, {"weight_map", weight_map}}));
  SINEW_TRY(scratch.move_to(destination));
  return summary;
}

}  // namespace sinew::synth
