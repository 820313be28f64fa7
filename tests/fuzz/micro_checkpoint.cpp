#include "micro_checkpoint.h"

#include "base/check.h"
#include "base/float16.h"
#include "json_edit.h"
#include "ops/plan.h"
#include "policy/families.h"
#include "preprocess/text/text_support.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

namespace sinew::test {
namespace {

using io::Json;

constexpr const char* kTag = "new_embodiment";
constexpr size_t kActionSteps = 4;
// Widths, different ones where they are independent: small, as all weights are read in every run.
constexpr int64_t kDitWidth = 24;
constexpr int64_t kDitFfn = 28;
constexpr int64_t kHidden = 20;
constexpr int64_t kLanguageWidth = 32;
constexpr int64_t kMaxDims = 8;  // of states and actions
// A header has room for changes, so that the weights behind it stay where they are.
constexpr size_t kHeaderSlackBytes = 512;
constexpr size_t kShards = 2;

Json nano(const std::string& name) {
  auto json = io::read_json_file(std::string(SINEW_SOURCE_DIR) + "/tests/golden/nano/" + name);
  SINEW_CHECK(json.ok());
  return std::move(json).value();
}

Json micro_config() {
  Json config = nano("checkpoint/config.json");
  config["select_layer"] = 1;
  config["diffusion_model_cfg"]["num_layers"] = 2;  // one that attends to the context
  config["diffusion_model_cfg"]["attention_head_dim"] = kDitWidth / 2;
  config["diffusion_model_cfg"]["output_dim"] = kHidden;
  config["input_embedding_dim"] = kDitWidth;
  config["hidden_size"] = kHidden;
  config["backbone_embedding_dim"] = kLanguageWidth;
  config["max_action_dim"] = kMaxDims;
  config["max_state_dim"] = kMaxDims;
  config["max_num_embodiments"] = 3;
  config["action_horizon"] = kActionSteps;
  config["max_seq_len"] = 2 * kActionSteps;
  config["num_inference_timesteps"] = 2;
  return config;
}

Json micro_vlm_config() {
  Json config = nano("eagle/config.json");
  config["image_token_index"] = 303;  // of the tokenizer of bytes
  Json& text = config["text_config"];
  text["vocab_size"] = 320;
  text["num_hidden_layers"] = 1;
  text["hidden_size"] = kLanguageWidth;
  text["head_dim"] = 12;
  text["intermediate_size"] = 48;
  Json& vision = config["vision_config"];
  vision["num_hidden_layers"] = 1;
  vision["hidden_size"] = 16;
  vision["intermediate_size"] = 40;
  vision["num_patches"] = 16;
  return config;
}

Json micro_processor_config() {
  Json processor = nano("checkpoint/processor_config.json");
  Json& kwargs = processor["processor_kwargs"];
  Json embodiment = kwargs["modality_configs"][kTag];
  embodiment["action"]["delta_indices"] = {0, 1, 2, 3};
  kwargs["modality_configs"] = Json::object({{kTag, std::move(embodiment)}});
  kwargs["shortest_image_edge"] = 28;
  kwargs["max_action_horizon"] = kActionSteps;
  kwargs["max_action_dim"] = kMaxDims;
  kwargs["max_state_dim"] = kMaxDims;
  return processor;
}

// Two digits after the point: most of the time of a run is spent on text.
void shorten_numbers(Json& json) {
  if (json.is_structured()) {
    std::for_each(json.begin(), json.end(), shorten_numbers);
  } else if (json.is_number_float()) {
    json = std::round(json.get<double>() * 100) / 100;
  }
}

Json micro_statistics() {
  Json embodiment = nano("checkpoint/statistics.json")[kTag];
  for (Json& group : embodiment["relative_action"]) {
    for (Json& rows : group) {
      rows.erase(rows.begin() + kActionSteps, rows.end());
    }
  }
  shorten_numbers(embodiment);
  return Json::object({{kTag, std::move(embodiment)}});
}

Json tensor(const char* dtype, std::span<const int64_t> shape, size_t begin, size_t end) {
  return {{"dtype", dtype},
          {"shape", std::vector<int64_t>(shape.begin(), shape.end())},
          {"data_offsets", {begin, end}}};
}

// The length and the JSON of a header of `bytes` bytes, without the weights. What is longer is cut.
std::string header_text(const std::string& json, size_t bytes) {
  const uint64_t length = bytes;
  std::string text(sizeof(length), '\0');
  std::memcpy(text.data(), &length, sizeof(length));
  text += json;
  text.resize(sizeof(length) + bytes, ' ');
  return text;
}

// Small weights of both signs, bf16.
std::string weight_bytes(size_t elements) {
  std::string bytes;
  for (size_t i = 0; i < elements; ++i) {
    const uint16_t bits = to_bf16(static_cast<float>(i * 37 % 17) / 64.0F - 0.125F).bits;
    bytes.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
  }
  return bytes;
}

}  // namespace

MicroCheckpoint::MicroCheckpoint() {
  add("checkpoint/config.json", micro_config());
  add("checkpoint/processor_config.json", micro_processor_config());
  add("checkpoint/statistics.json", micro_statistics());
  add("checkpoint/embodiment_id.json", Json::object({{kTag, 2}}));
  add("eagle/config.json", micro_vlm_config());
  const preprocess::TinyFiles tokenizer;
  add("eagle/added_tokens.json", *tokenizer.added);
  folder_.set("eagle/vocab.json", tokenizer.vocab.dump());
  folder_.set("eagle/merges.txt", tokenizer.merges);
  add_weights();
}

// The names and shapes of the weights are those that the network itself asks for.
void MicroCheckpoint::add_weights() {
  constexpr const char* kOnly = "action_head.model.transformer_blocks.0.ff.net.0.proj.weight";
  const std::array<int64_t, 2> shape = {kDitFfn, kDitWidth};
  const size_t bytes = 2 * kDitFfn * kDitWidth;
  const std::string weights = weight_bytes(bytes / 2);
  const std::string single = "checkpoint/model.safetensors";
  const std::string header = Json({{kOnly, tensor("BF16", shape, 0, bytes)}}).dump();
  folder_.set(single, header_text(header, header.size()) + weights);
  const auto checkpoint = io::Checkpoint::open(path());
  SINEW_CHECK(checkpoint.ok());
  const auto vlm = io::open_vlm_folder(path(), "");
  SINEW_CHECK(vlm.ok());
  const auto family = policy::find_family(checkpoint.value());
  SINEW_CHECK(family.ok());
  model::NetworkOptions options;
  options.action_steps = kActionSteps;
  const auto network = family.value()->load(checkpoint.value(), vlm.value(), options);
  SINEW_CHECK(network.ok());
  const ops::Plan plan = network.value()->record(
      {.views = 1, .image_height = 28, .image_width = 28, .tokens = 2, .first_position = 0});

  std::array<Json, kShards> headers = {Json::object(), Json::object()};
  std::array<size_t, kShards> ends = {};
  Json weight_map = Json::object();
  for (const ops::ValueInfo& value : plan.values) {
    if (value.kind == ops::ValueKind::kWeight) {
      const size_t shard = weight_map.size() % kShards;
      const size_t end = ends[shard] + 2 * static_cast<size_t>(value.shape.elements());
      headers[shard][value.name] = tensor("BF16", value.shape.extents(), ends[shard], end);
      ends[shard] = end;
      weight_map[value.name] =
          shard == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
    }
  }
  for (size_t shard = 0; shard < kShards; ++shard) {
    const std::string name = shard == 0 ? "checkpoint/model-00001-of-00002.safetensors"
                                        : "checkpoint/model-00002-of-00002.safetensors";
    add(name, headers[shard]);
    folder_.file(name).write_at(8 + texts_.back().size() + kHeaderSlackBytes,
                                weight_bytes(ends[shard] / 2));
  }
  add("checkpoint/model.safetensors.index.json", {{"weight_map", weight_map}});
}

void MicroCheckpoint::add(const std::string& name, Json json) {
  texts_.push_back(json_text(json));
  documents_.push_back({name, std::move(json)});
  write(documents_.size() - 1, texts_.back());
}

void MicroCheckpoint::write(size_t index, const std::string& text) {
  const std::string& name = documents_[index].name;
  if (name.ends_with(".safetensors")) {
    folder_.file(name).write_at(0, header_text(text, texts_[index].size() + kHeaderSlackBytes));
  } else {
    folder_.set(name, text);
  }
}

void MicroCheckpoint::replace(size_t index, const Json& json) {
  replaced_.push_back(index);
  write(index, json_text(json));
}

void MicroCheckpoint::restore() {
  for (const size_t index : replaced_) {
    write(index, texts_[index]);
  }
  replaced_.clear();
}

}  // namespace sinew::test
