// The trained demo policy against the original implementation: the five recorded steps at 1, 2, 4
// and 8 denoising steps, images and token ids exactly, features and actions within the fp32
// demands.
#include "io/json.h"
#include "io/safetensors.h"
#include "preprocess/image/image.h"
#include "support/temp_folder.h"
#include "support/test_device.h"
#include "tensor/convert.h"

#include "sinew/policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace sinew {
namespace {

const std::filesystem::path kReach = "examples/reach";

constexpr double kRelative = 1e-5;      // of final actions, against max(1, largest)
constexpr double kFeatureRms = 1.1e-5;  // backbone_features, tests/golden/tolerances.json
constexpr std::string_view kVideo = "observation.video.";
constexpr std::string_view kState = "observation.state.";

std::vector<float> values_of(const ConstTensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  convert_to_f32(view, values);
  return values;
}

// A recorded step as an observation; keeps what the views refer to.
struct DemoStep {
  explicit DemoStep(const std::string& file, std::string text)
      : tensors(io::SafetensorsFile::open(kReach / "golden" / file).value()),
        language(std::move(text)) {
    for (const io::TensorEntry& tensor : tensors.tensors()) {
      if (tensor.name.starts_with(kVideo)) {
        const Shape& s = tensor.view.shape;  // [1, 1, h, w, 3]
        pixels.emplace_back(tensor.view.as<uint8_t>().begin(), tensor.view.as<uint8_t>().end());
        frames.push_back({nullptr, s[2], s[3]});
        camera_keys.push_back(tensor.name.substr(kVideo.size()));
      } else if (tensor.name.starts_with(kState)) {
        state_values.push_back(values_of(tensor.view));
        state_keys.push_back(tensor.name.substr(kState.size()));
      }
    }
    for (size_t i = 0; i < frames.size(); ++i) {
      frames[i].pixels = pixels[i].data();
      video.push_back({camera_keys[i], {&frames[i], 1}});
    }
    for (size_t i = 0; i < state_keys.size(); ++i) {
      state.push_back(
          {state_keys[i], state_values[i], 1, static_cast<int64_t>(state_values[i].size())});
    }
    noise = values_of(tensors.find("noise")->view);
  }

  Observation observation() const {
    return {.video = video, .state = state, .language = language, .noise = noise};
  }

  io::SafetensorsFile tensors;
  std::string language;
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<Frame> frames;
  std::vector<std::string> camera_keys, state_keys;
  std::vector<CameraFrames> video;
  std::vector<std::vector<float>> state_values;
  std::vector<StateValues> state;
  std::vector<float> noise;
};

void expect_close(const std::string& label, const std::vector<float>& expected,
                  const std::vector<float>& actual) {
  ASSERT_EQ(expected.size(), actual.size()) << label;
  double largest = 1;
  for (const float x : expected) {
    largest = std::max(largest, std::fabs(static_cast<double>(x)));
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_LE(std::fabs(static_cast<double>(actual[i]) - expected[i]), kRelative * largest)
        << label << " at " << i;
  }
}

void expect_features(const DemoStep& step, const io::SafetensorsFile& dump) {
  EXPECT_EQ(values_of(step.tensors.find("processed.input_ids")->view),
            values_of(dump.find("input_ids")->view));
  const auto expected = values_of(step.tensors.find("processed.backbone_features")->view);
  const auto actual = values_of(dump.find("backbone_features")->view);
  ASSERT_EQ(expected.size(), actual.size());
  double squares = 0;
  double reference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    squares += std::pow(static_cast<double>(expected[i]) - actual[i], 2);
    reference += std::pow(static_cast<double>(expected[i]), 2);
  }
  EXPECT_LE(std::sqrt(squares / reference), kFeatureRms);
  // The network's pixels are the recorded images through the normalisation, exactly: [v, 3, h, w].
  std::vector<float> pixels;
  for (const char* camera : {"front", "wrist"}) {
    for (const float x :
         values_of(step.tensors.find(std::string("processed.image.") + camera)->view)) {
      pixels.push_back((x - 127.5F) / 127.5F);
    }
  }
  EXPECT_EQ(pixels, values_of(dump.find("pixel_values")->view));
}

class DemoGoldenTest : public testing::TestWithParam<int64_t> {};

TEST_P(DemoGoldenTest, StepsMatchTheOriginal) {
  const int64_t denoising_steps = GetParam();
  const test::TempFolder folder;
  auto policy = Policy::load({.model_path = kReach / "checkpoints/reach-nano",
                              .device = test::test_device(),
                              .precision = "fp32",
                              .denoising_steps = denoising_steps,
                              .dump_sites = folder.path()});
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  const io::Json index = io::read_json_file(kReach / "golden/golden.json").value();
  int64_t call = 0;
  for (const io::Json& entry : index.at("steps")) {
    const DemoStep step(entry.at("file"), entry.at("instruction"));
    ActionChunk chunk;
    const Status status = policy.value().act(step.observation(), chunk);
    ASSERT_TRUE(status.ok()) << status.message();
    const std::string n = std::to_string(denoising_steps);
    expect_close("normalised " + n, values_of(step.tensors.find("normalised." + n)->view),
                 chunk.normalized);
    for (const ActionValues& action : chunk.actions) {
      expect_close(action.key, values_of(step.tensors.find("action." + n + "." + action.key)->view),
                   action.values);
    }
    const auto dump =
        io::SafetensorsFile::open(folder / fmt::format("call_{:06}.safetensors", call++));
    ASSERT_TRUE(dump.ok()) << dump.status().message();
    expect_features(step, dump.value());
  }
  EXPECT_EQ(call, 5);
}

INSTANTIATE_TEST_SUITE_P(DenoisingSteps, DemoGoldenTest, testing::Values(1, 2, 4, 8));

}  // namespace
}  // namespace sinew
