// config.json and, behind a NUL, the vision-language model's config.json, through the family's
// resolution. What resolves is recorded, as loading does before it looks at a tensor.
#include "base/check.h"
#include "byte_reader.h"
#include "memory_file.h"
#include "policy/families.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace {

using namespace sinew;  // NOLINT(google-build-using-namespace): one file, one purpose

// Beyond this a recording is only slow, not otherwise interesting.
constexpr size_t kMaxRecordedBlocks = 64;

// The one tensor whose shape the configuration needs, without a byte of data.
constexpr const char* kHeader = R"({"action_head.model.transformer_blocks.0.ff.net.0.proj.weight":)"
                                R"({"dtype":"U8","shape":[96,1],"data_offsets":[0,96]}})";

struct Folder : test::MemoryFolder {
  Folder() {
    const std::string header(kHeader);
    std::string file = {static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
    set("model.safetensors", file + header + std::string(96, '\0'));
    set("processor_config.json", "{}");
    set("statistics.json", "{}");
  }
};

void record(const model::Network& network, size_t blocks) {
  const model::NetworkFacts& facts = network.facts();
  SINEW_CHECK(facts.horizon >= 1 && facts.denoising_steps >= 1 && facts.pixels_per_token >= 2);
  if (blocks > kMaxRecordedBlocks) {
    return;
  }
  const ops::Plan plan = network.record({.views = 2,
                                         .image_height = facts.pixels_per_token,
                                         .image_width = 3 * facts.pixels_per_token,
                                         .tokens = 9,
                                         .first_position = 0});
  SINEW_CHECK(plan.outputs.size() == 1);
}

// What the recording grows with.
size_t block_count(const io::JsonView& config, const model::NetworkFacts& facts) {
  const io::Json& json = config.json();
  size_t layers = 0;
  for (const char* pointer : {"/select_layer", "/diffusion_model_cfg/num_layers"}) {
    layers += json.at(io::Json::json_pointer(pointer)).get<size_t>();
  }
  return layers * static_cast<size_t>(facts.denoising_steps);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Folder folder;
  test::ByteReader bytes(data, size);
  folder.set("config.json", bytes.until('\0'));
  const auto checkpoint = io::Checkpoint::open(folder.path());
  if (!checkpoint.ok()) {
    return 0;
  }
  io::VlmFolder vlm;
  size_t tower_layers = 0;
  if (auto config = io::parse_json(bytes.rest(), "vlm"); config.ok()) {
    vlm.config = std::move(config).value();
    vlm.config_where = "vlm";
  }
  const auto family = policy::find_family(checkpoint.value());
  if (!family.ok()) {
    return 0;
  }
  model::NetworkOptions options;
  options.action_steps = 4;
  options.embodiment_id = 1;
  const auto network = family.value()->load(checkpoint.value(), vlm, options);
  if (!network.ok()) {
    SINEW_CHECK(!network.status().message().empty());
    return 0;
  }
  if (vlm.config) {
    tower_layers = vlm.config->at("vision_config").at("num_hidden_layers").get<size_t>();
  }
  record(*network.value(),
         tower_layers + block_count(checkpoint.value().config(), network.value()->facts()));
  return 0;
}
