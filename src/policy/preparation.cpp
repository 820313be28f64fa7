#include "policy/preparation.h"

#include "base/clock.h"
#include "base/error.h"

#include <algorithm>
#include <cmath>

namespace sinew::policy {
namespace {

std::string names_of(std::span<const CameraFrames> cameras) {
  std::string names;
  for (const CameraFrames& camera : cameras) {
    names += (names.empty() ? "" : ", ") + std::string(camera.key);
  }
  return names.empty() ? "none" : names;
}

// The camera `key`; clients that keep the policy's order pay one comparison.
const CameraFrames* find_camera(std::span<const CameraFrames> cameras, std::string_view key,
                                size_t expected) {
  if (expected < cameras.size() && cameras[expected].key == key) {
    return &cameras[expected];
  }
  const auto found = std::find_if(cameras.begin(), cameras.end(),
                                  [&](const CameraFrames& c) { return c.key == key; });
  return found == cameras.end() ? nullptr : &*found;
}

}  // namespace

// Finds every camera, sees to its transform, and settles the common size.
Status Preparation::check_cameras(const Observation& observation, int64_t bands,
                                  PreparedInputs::Impl& inputs) const {
  const auto& keys = config_.modalities.video.keys;
  const auto steps = config_.modalities.video.delta_indices.size();
  inputs.cameras.resize(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const CameraFrames* camera = find_camera(observation.video, keys[i], i);
    if (camera == nullptr) {
      return not_found("observation: camera \"{}\" of embodiment {} is missing (given: {})",
                       keys[i], config_.embodiment_tag, names_of(observation.video));
    }
    if (camera->frames.size() != steps) {
      return bad_input(
          "observation: camera \"{}\": expected {} frames (video delta_indices), found {}", keys[i],
          steps, camera->frames.size());
    }
    for (const Frame& frame : camera->frames) {
      if (frame.height != camera->frames[0].height || frame.width != camera->frames[0].width) {
        return bad_input(
            "observation: camera \"{}\": frames of {}x{} and {}x{}: all frames of a camera must be "
            "of one size",
            keys[i], camera->frames[0].height, camera->frames[0].width, frame.height, frame.width);
      }
    }
    PreparedInputs::Impl::Camera& cached = inputs.cameras[i];
    const preprocess::Size size{camera->frames[0].height, camera->frames[0].width};
    if (!cached.transform || !(cached.size == size)) {
      auto transform = preprocess::FrameTransform::create(size, config_.shortest_image_edge,
                                                          config_.crop_fraction, bands);
      if (!transform.ok()) {
        return std::move(transform).status().with(
            fmt::format("observation: camera \"{}\"", keys[i]));
      }
      cached.size = size;
      cached.transform = std::move(transform).value();
    }
    cached.frames = camera->frames;
    const preprocess::Size ours = cached.transform->sizes().snapped;
    const preprocess::Size first = inputs.cameras[0].transform->sizes().snapped;
    const preprocess::Size ours_before = cached.transform->sizes().transformed;
    const preprocess::Size first_before = inputs.cameras[0].transform->sizes().transformed;
    if (!(ours == first) || !(ours_before == first_before)) {
      return bad_input(
          "observation: image views differ after resize: {} {}x{} vs {} {}x{} (frames of {}x{} and "
          "{}x{}): "
          "cameras of one policy must share an aspect ratio",
          keys[0], first_before.height, first_before.width, keys[i], ours_before.height,
          ours_before.width, inputs.cameras[0].size.height, inputs.cameras[0].size.width,
          size.height, size.width);
    }
  }
  return {};
}

// Everything about the frames but what the network reads of them.
Status Preparation::prepare_frames(const Observation& observation, const ThreadPool* threads,
                                   PreparedInputs::Impl& inputs) const {
  const auto views = std::ssize(config_.modalities.video.keys) *
                     std::ssize(config_.modalities.video.delta_indices);
  const int64_t workers = threads == nullptr ? 1 : threads->threads();
  SINEW_TRY(check_cameras(observation, (workers + views - 1) / views, inputs));
  size_t scratch_bytes = 0;
  for (size_t i = 0; i < inputs.cameras.size(); ++i) {
    scratch_bytes = std::max(scratch_bytes, inputs.cameras[i].transform->scratch_bytes());
    for (const Frame& frame : inputs.cameras[i].frames) {
      watch_.see_frame(i, frame);
    }
  }
  inputs.scratch_stride = scratch_bytes;
  if (const size_t needed = scratch_bytes * static_cast<size_t>(workers);
      inputs.scratch.size_bytes() < needed) {
    SINEW_ASSIGN(inputs.scratch, Buffer::allocate_for_overwrite(needed));
  }
  const preprocess::Size size = inputs.cameras[0].transform->sizes().snapped;
  inputs.shape.views = views;
  inputs.shape.image_height = size.height;
  inputs.shape.image_width = size.width;
  return {};
}

void Preparation::make_frames(PreparedInputs::Impl& inputs, ThreadPool* threads,
                              std::span<uint8_t> dst) {
  const auto start = Clock::now();
  const auto cameras = std::ssize(inputs.cameras);
  const int64_t views = inputs.shape.views;
  const int64_t bands = inputs.cameras[0].transform->bands();  // all cameras end at one size
  const size_t bytes = dst.size() / static_cast<size_t>(views);
  const auto make_band = [&](int64_t item, int64_t thread) {
    const int64_t view = item / bands;  // time-major, then view (spec/preprocessing.md section 1)
    const auto& camera = inputs.cameras[static_cast<size_t>(view % cameras)];
    const Frame& frame = camera.frames[static_cast<size_t>(view / cameras)];
    camera.transform->snap(
        {frame.pixels, frame.height, frame.width}, item % bands,
        dst.subspan(static_cast<size_t>(view) * bytes, bytes),
        inputs.scratch.data() + static_cast<size_t>(thread) * inputs.scratch_stride);
  };
  if (threads != nullptr) {
    threads->run(views * bands, make_band);
  } else {
    for (int64_t item = 0; item < views * bands; ++item) {
      make_band(item, 0);
    }
  }
  inputs.preprocess_ms += milliseconds_since(start);
}

// What the network would take, but not within any useful time.
Status Preparation::check_length(std::span<const int32_t> ids) const {
  const auto images = std::count(ids.begin(), ids.end(), tokenizer_.image_token_id());
  const int64_t text = std::ssize(ids) - images;
  if (text > preprocess::kMaxTextTokens) {
    return bad_input(
        "instruction: the prompt has {} tokens besides those of the images, at most {} are taken: "
        "say in a sentence what the robot is to do",
        text, preprocess::kMaxTextTokens);
  }
  if (std::ssize(ids) > facts_.max_positions) {
    return bad_input(
        "the prompt has {} tokens, {} of them of images; the language model has {} positions: send "
        "fewer or smaller frames",
        ids.size(), images, facts_.max_positions);
  }
  return {};
}

Status Preparation::tokenize(std::string_view language, PreparedInputs::Impl& inputs) const {
  const int64_t side = facts_.pixels_per_token;
  const int64_t tokens = (inputs.shape.image_height / side) * (inputs.shape.image_width / side);
  const bool is_known = !inputs.token_ids.empty() && inputs.language == language &&
                        static_cast<int64_t>(inputs.image_tokens.size()) == inputs.shape.views &&
                        inputs.image_tokens.front() == tokens;
  if (is_known) {
    return {};
  }
  inputs.token_ids.clear();
  inputs.image_tokens.assign(static_cast<size_t>(inputs.shape.views), tokens);
  std::string text(language);
  if (config_.formalize_language) {
    SINEW_ASSIGN(text, preprocess::formalize(language));
  }
  SINEW_ASSIGN(const std::string prompt, preprocess::render_prompt(text, inputs.image_tokens));
  SINEW_ASSIGN(std::vector<int32_t> ids, tokenizer_.encode(prompt));
  SINEW_TRY(check_length(ids));
  inputs.image_rows.clear();
  inputs.text_rows.clear();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= facts_.vocabulary) {
      return bad_input(
          "token id {} is outside of the checkpoint's {} embeddings: the tokenizer belongs to "
          "another model",
          ids[i], facts_.vocabulary);
    }
    auto& rows = ids[i] == tokenizer_.image_token_id() ? inputs.image_rows : inputs.text_rows;
    rows.push_back(static_cast<int32_t>(i));
  }
  if (static_cast<int64_t>(inputs.image_rows.size()) != tokens * inputs.shape.views) {
    return bad_input(
        "the prompt holds {} image tokens, the images make {}: does the instruction contain {}?",
        inputs.image_rows.size(), tokens * inputs.shape.views, "<IMG_CONTEXT>");
  }
  inputs.token_ids = std::move(ids);
  inputs.language = language;
  return {};
}

Status Preparation::prepare_state(const Observation& observation,
                                  PreparedInputs::Impl& inputs) const {
  inputs.groups.clear();
  for (const StateValues& s : observation.state) {
    inputs.groups.push_back({.key = s.key, .values = s.values, .steps = s.steps, .dims = s.dims});
  }
  inputs.state.resize(static_cast<size_t>(config_.state_steps() * config_.max_state_dim));
  SINEW_TRY(state_encoder_.encode(inputs.groups, inputs.state));
  inputs.raw_state.resize(config_.modalities.state.keys.size());
  for (size_t i = 0; i < inputs.raw_state.size(); ++i) {
    const std::string& key = config_.modalities.state.keys[i];
    const preprocess::StateGroup* group = preprocess::find_state_group(inputs.groups, key, i);
    PreparedInputs::Impl::RawState& raw = inputs.raw_state[i];
    raw.key = key;
    raw.steps = group->steps;
    raw.dims = group->dims;
    raw.values.assign(group->values.begin(), group->values.end());
    watch_.see_state(i, group->values);
  }
  return {};
}

Status Preparation::prepare_noise(const Observation& observation,
                                  PreparedInputs::Impl& inputs) const {
  const auto expected = static_cast<size_t>(facts_.horizon * facts_.max_action_dim);
  if (!observation.noise.empty() && observation.noise.size() != expected) {
    return bad_input("noise: expected {} x {} values (action tokens x max_action_dim), found {}",
                     facts_.horizon, facts_.max_action_dim, observation.noise.size());
  }
  for (const float x : observation.noise) {
    if (!std::isfinite(x)) {
      return bad_input("noise: expected finite values, found {}", x);
    }
  }
  inputs.noise.assign(observation.noise.begin(), observation.noise.end());
  return {};
}

Status Preparation::prepare_all_but_frames(const Observation& observation,
                                           const ThreadPool* threads,
                                           PreparedInputs::Impl& inputs) const {
  inputs.is_ready = false;
  inputs.has_frames = false;
  const auto start = Clock::now();
  SINEW_TRY(preprocess::check_instruction(observation.language));
  SINEW_TRY(prepare_frames(observation, threads, inputs));
  SINEW_TRY(prepare_state(observation, inputs));
  SINEW_TRY(prepare_noise(observation, inputs));
  inputs.preprocess_ms = milliseconds_since(start);
  const auto text_start = Clock::now();
  SINEW_TRY(tokenize(observation.language, inputs));
  inputs.shape.tokens = static_cast<int64_t>(inputs.token_ids.size());
  inputs.shape.first_position = 0;
  inputs.tokenize_ms = milliseconds_since(text_start);
  return {};
}

Status Preparation::prepare(const Observation& observation, PreparedInputs::Impl& inputs) const {
  SINEW_TRY(prepare_all_but_frames(observation, nullptr, inputs));
  const model::SampleShape& shape = inputs.shape;
  inputs.frames.resize(
      static_cast<size_t>(shape.views * 3 * shape.image_height * shape.image_width));
  make_frames(inputs, nullptr, inputs.frames);
  inputs.has_frames = true;
  inputs.is_ready = true;
  return {};
}

}  // namespace sinew::policy
