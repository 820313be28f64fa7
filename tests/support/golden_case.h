// A recorded case of the original implementation (tests/golden/README.md) as observations and
// expected tensors.
#pragma once

#include "io/safetensors.h"
#include "preprocess/image/image.h"

#include "sinew/observation.h"
#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace sinew::test {

// One sample of a batch; owns what `observation` refers to.
struct GoldenSample {
  std::vector<std::string> camera_keys;
  std::vector<std::vector<preprocess::Image>> images;  // [camera][time]
  std::vector<std::vector<Frame>> frames;
  std::vector<CameraFrames> video;
  std::vector<std::string> state_keys;
  std::vector<std::vector<float>> state_values;
  std::vector<StateValues> state;
  std::string language;
  std::vector<float> noise;

  Observation observation() const {
    return {.video = video, .state = state, .language = language, .noise = noise};
  }
};

struct GoldenCase {
  std::string name;
  std::string embodiment_tag;
  int64_t denoising_steps = 4;
  std::vector<GoldenSample> samples;
  io::SafetensorsFile expected;
};

// `folder`/cases/NAME.{json,safetensors}; a case that shares another's observation reads it from
// there.
Result<GoldenCase> load_golden_case(const std::filesystem::path& folder, const std::string& name);

// The names of all cases whose files end in .json, sorted.
std::vector<std::string> golden_case_names(const std::filesystem::path& folder);

}  // namespace sinew::test
