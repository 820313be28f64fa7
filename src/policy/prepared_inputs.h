// What prepare() leaves for run(): one observation as the network takes it, and what decoding needs
// of the raw one.
#pragma once

#include "model/network.h"
#include "preprocess/image/frame_transform.h"
#include "preprocess/state/state.h"
#include "tensor/buffer.h"

#include "sinew/observation.h"
#include "sinew/policy.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sinew {

struct PreparedInputs::Impl {
  // The transform of one camera, kept while its frames keep their size.
  struct Camera {
    preprocess::Size size;
    std::optional<preprocess::FrameTransform> transform;
    std::span<const Frame> frames;  // of the observation: valid during the call that was given it
  };

  // A raw state group that relative actions refer to.
  struct RawState {
    std::string key;
    int64_t steps = 0;
    int64_t dims = 0;
    std::vector<float> values;  // [steps, dims]
  };

  bool is_ready = false;
  model::SampleShape shape;
  std::vector<Camera> cameras;
  Buffer scratch;                              // of the transforms, one piece a thread
  size_t scratch_stride = 0;                   // bytes of a piece
  bool has_frames = false;                     // frames are there; else made by the run
  std::vector<uint8_t> frames;                 // [v, H, W, 3]
  std::string language;                        // what token_ids belong to
  std::vector<int64_t> image_tokens;           // of each image, likewise
  std::vector<int32_t> token_ids;              // [t]
  std::vector<int32_t> image_rows;             // [I]
  std::vector<int32_t> text_rows;              // [t - I]
  std::vector<preprocess::StateGroup> groups;  // views on the observation, scratch
  std::vector<float> state;                    // [state_steps, max_state_dim]
  std::vector<RawState> raw_state;
  std::vector<float> noise;  // [horizon, max_action_dim], or empty: drawn by run()
  double preprocess_ms = 0;
  double tokenize_ms = 0;
};

}  // namespace sinew
