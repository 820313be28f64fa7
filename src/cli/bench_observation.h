// What `sinew bench` shows the policy: noise frames, random states, and an instruction of a wanted
// length.
#pragma once

#include "sinew/observation.h"
#include "sinew/policy.h"
#include "sinew/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::cli {

struct FrameSize {
  int64_t height = 0;
  int64_t width = 0;
};

// "480x640": height, width, each from 1 to 16384. kUsage else.
Result<FrameSize> parse_frame_size(std::string_view text);

// Owns what its observation refers to. One frame a camera and time index, each different.
class RandomObservation {
 public:
  RandomObservation(const PolicyInfo& info, FrameSize size, uint64_t seed);
  RandomObservation(const RandomObservation&) = delete;
  RandomObservation& operator=(const RandomObservation&) = delete;

  void set_language(std::string text) { language_ = std::move(text); }

  const std::string& language() const { return language_; }

  Observation observation() const {
    return {.video = cameras_, .state = states_, .language = language_, .noise = {}};
  }

 private:
  std::vector<std::vector<uint8_t>> pixels_;  // a frame
  std::vector<std::vector<Frame>> frames_;    // a camera
  std::vector<CameraFrames> cameras_;
  std::vector<std::vector<float>> values_;  // a group
  std::vector<StateValues> states_;
  std::string language_ = "pick up the red cube and place it in the bowl";
};

// Gives the observation an instruction with which the prompt has exactly `text_tokens` tokens
// besides those of the images. kUsage when no instruction can.
Status set_text_tokens(const Policy& policy, int64_t text_tokens, RandomObservation& observation);

}  // namespace sinew::cli
