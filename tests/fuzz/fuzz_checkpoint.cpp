// A whole checkpoint folder: the bytes choose up to eight changes to the JSON documents of one that
// loads (configurations, statistics, ids, shard index, headers of the weights) and to the options
// of the call. Policy::load refuses it, or what it made can be shown, or answers an observation.
#include "base/check.h"
#include "base/log.h"
#include "byte_reader.h"
#include "json_edit.h"
#include "micro_checkpoint.h"

#include "sinew/policy.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace sinew;  // NOLINT(google-build-using-namespace): one file, one purpose

constexpr size_t kMaxEdits = 8;

// Beyond these a call is only slow, not otherwise interesting.
constexpr int64_t kMaxViews = 4;
constexpr int64_t kMaxTokens = 64;
constexpr int64_t kMaxSteps = 4;
constexpr int64_t kMaxEdge = 56;

io::Json default_options() {
  return {{"horizon", "checkpoint"}, {"denoising_steps", nullptr}, {"embodiment_tag", ""},
          {"device", "auto"},        {"precision", "auto"},        {"rope_inv_freq", "auto"}};
}

PolicyOptions policy_options(const io::Json& json, const std::string& path) {
  PolicyOptions options;
  options.model_path = path;
  options.threads = 1;
  const io::JsonView view(json, "options");
  const std::map<std::string, std::string*> texts = {{"horizon", &options.horizon},
                                                     {"embodiment_tag", &options.embodiment_tag},
                                                     {"device", &options.device},
                                                     {"precision", &options.precision},
                                                     {"rope_inv_freq", &options.rope_inv_freq}};
  for (const auto& [key, target] : texts) {
    if (const auto member = view.at(key); member.ok()) {
      *target = member.value().as_string().ok() ? member.value().as_string().value()
                                                : test::json_text(member.value().json());
    }
  }
  if (const auto steps = view.at("denoising_steps"); steps.ok() && steps.value().as_int().ok()) {
    options.denoising_steps = steps.value().as_int().value();
  }
  return options;
}

// Whether a recording is neither quickly made nor refused for its length.
bool is_slow(const io::Json& config, const PolicyOptions& options) {
  constexpr int64_t kMaxQuickBlocks = 128;
  constexpr int64_t kMaxAllowedBlocks = 1 << 15;
  const io::JsonView root(config, "config");
  const auto layers = root.at("diffusion_model_cfg").ok()
                          ? root.at("diffusion_model_cfg").value().at("num_layers")
                          : root.at("diffusion_model_cfg");
  const auto own_steps = root.at("num_inference_timesteps");
  if (!layers.ok() || !layers.value().as_int(1, 512).ok()) {
    return false;
  }
  int64_t steps = options.denoising_steps.value_or(4);
  if (!options.denoising_steps && own_steps.ok()) {
    steps = own_steps.value().as_int(1, 1000).ok() ? own_steps.value().as_int().value() : 0;
  }
  const int64_t blocks = layers.value().as_int().value() * std::clamp<int64_t>(steps, 0, 1000);
  return blocks > kMaxQuickBlocks && blocks <= kMaxAllowedBlocks;
}

bool is_small(const PolicyInfo& info) {
  for (const ConfigRow& row : info.config) {
    if (row.key.find("shortest_image_edge") != std::string::npos &&
        std::atoll(row.value.c_str()) > kMaxEdge) {
      return false;
    }
  }
  const auto views = static_cast<int64_t>(info.cameras.size() * info.video_deltas.size());
  return views <= kMaxViews && info.horizon <= kMaxTokens && info.denoising_steps <= kMaxSteps;
}

void act(Policy& policy) {
  const PolicyInfo& info = policy.info();
  if (!is_small(info)) {
    return;
  }
  constexpr int64_t kHeight = 60;
  constexpr int64_t kWidth = 80;
  const std::vector<uint8_t> pixels(static_cast<size_t>(kHeight * kWidth * 3), 100);
  const std::vector<Frame> frames(info.video_deltas.size(), {pixels.data(), kHeight, kWidth});
  std::vector<CameraFrames> cameras;
  for (const std::string& key : info.cameras) {
    cameras.push_back({key, frames});
  }
  std::vector<std::vector<float>> values;
  values.reserve(info.state.size());
  std::vector<StateValues> states;
  for (const GroupShape& group : info.state) {
    values.emplace_back(static_cast<size_t>(group.steps * group.dims), 0.25F);
    states.push_back({group.key, values.back(), group.steps, group.dims});
  }
  ActionChunk chunk;
  const Status status = policy.act({cameras, states, "go", {}}, chunk);
  SINEW_CHECK(status.ok() || !status.message().empty());
  for (const ActionValues& action : chunk.actions) {
    SINEW_CHECK(!status.ok() ||
                action.values.size() == static_cast<size_t>(action.steps * action.dims));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  set_log_level(LogLevel::kOff);
  static test::MicroCheckpoint checkpoint;
  // Otherwise no input would get further.
  static const bool is_sound =
      Policy::load(policy_options(default_options(), checkpoint.path().string())).ok();
  SINEW_CHECK(is_sound);
  checkpoint.restore();
  test::ByteReader bytes(data, size);
  const size_t use = bytes.below(16);
  io::Json options = default_options();
  std::map<size_t, io::Json> changed;
  for (size_t edit = 0; edit < kMaxEdits && !bytes.empty(); ++edit) {
    const size_t index = bytes.below(checkpoint.documents().size() + 1);
    if (index == checkpoint.documents().size()) {
      test::edit_json(bytes, options);
    } else {
      const auto [place, inserted] = changed.try_emplace(index, checkpoint.documents()[index].json);
      test::edit_json(bytes, place->second);
    }
  }
  const PolicyOptions call = policy_options(options, checkpoint.path().string());
  if (is_slow(changed.contains(0) ? changed[0] : checkpoint.documents()[0].json, call)) {
    return 0;
  }
  for (const auto& [index, json] : changed) {
    checkpoint.replace(index, json);
  }
  auto policy = Policy::load(call);
  if (!policy.ok()) {
    SINEW_CHECK(!policy.status().message().empty());
    return 0;
  }
  if (use >= 12) {
    const auto text = policy.value().plan_text(4);
    SINEW_CHECK(!text.ok() || !text.value().empty());
  } else if (use == 11) {
    act(policy.value());
  }
  return 0;
}
