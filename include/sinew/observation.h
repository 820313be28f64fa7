// What a policy is shown: views of camera frames, state groups and an instruction. Nothing is
// copied or owned; everything must stay alive during the call that takes it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace sinew {

// One RGB frame, u8 [height, width, 3], row-major, contiguous.
struct Frame {
  const uint8_t* pixels = nullptr;
  int64_t height = 0;
  int64_t width = 0;
};

// The frames of one camera, one a time index of the policy's video delta_indices, oldest first.
struct CameraFrames {
  std::string_view key;
  std::span<const Frame> frames;  // [time]
};

// One proprioceptive group in physical units.
struct StateValues {
  std::string_view key;
  std::span<const float> values;  // [time, dims]
  int64_t steps = 0;              // time
  int64_t dims = 0;
};

struct Observation {
  std::span<const CameraFrames> video;  // any order, extra cameras are ignored
  std::span<const StateValues> state;   // any order, extra groups are ignored
  std::string_view language;            // UTF-8, up to 16 KiB and 2048 tokens
  std::span<const float>
      noise;  // [horizon, max_action_dim], or empty: drawn from the policy's seed
};

}  // namespace sinew
