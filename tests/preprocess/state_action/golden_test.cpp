// State and action arithmetic against what the original computed, for every mode it has, and the
// same inside whole runs of the nano checkpoint.
#include "preprocess/action/action.h"
#include "preprocess/state/state.h"
#include "preprocess/state_action/fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace sinew::preprocess {
namespace {

using testing::Files;
using testing::read_samples;
using testing::Samples;
using testing::States;

constexpr double kTolerance = 1e-6;  // inputs f32, the original computes in f64
constexpr int64_t kMaxDim = 32;
const std::string kFolder = "tests/golden/preproc/state_action/";

template <class A, class B>
void expect_near(const A& actual, const B& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], kTolerance) << what << " at " << i;
  }
}

// One golden mode. The files hold states and actions only; the rest of a configuration is added.
class StateActionGolden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const io::Json golden = testing::read_json_or_fail(kFolder + GetParam() + ".json");
    Files files = testing::example_files();
    io::Json modalities = golden["modality_configs"]["robot"];
    for (const char* const name : {"video", "language"}) {
      modalities[name] = files.kwargs()["modality_configs"]["new_embodiment"][name];
    }
    // A policy with DEFAULT is refused, since it cannot return matrices; the decoder knows them.
    const bool decodes_matrices = GetParam() == "relative_eef_matrix_decode";
    if (decodes_matrices) {
      modalities["action"]["action_configs"][0]["format"] = "XYZ_ROT6D";
    }
    files.kwargs()["modality_configs"] = {{"robot", modalities}};
    files.kwargs()["use_relative_action"] = false;
    files.kwargs().update(golden["flags"]);
    files.statistics = golden["statistics"];
    files.ids = {{"robot", 1}};
    config_ = testing::resolve_or_fail(files);
    if (decodes_matrices) {
      config_.modalities.action.action_configs[0].format = ActionFormat::kDefault;
    }
    Result<io::SafetensorsFile> tensors =
        io::SafetensorsFile::open(kFolder + GetParam() + ".safetensors");
    ASSERT_TRUE(tensors.ok()) << tensors.status().message();
    tensors_ = std::move(tensors).value();
    ASSERT_FALSE(config_.modalities.state.keys.empty());
    for (const std::string& key : config_.modalities.state.keys) {
      const Samples raw = read_samples(tensors_, "state." + key);
      states_.resize(raw.values.size());
      for (size_t i = 0; i < states_.size(); ++i) {
        states_[i].steps = raw.extents[0];
        states_[i].add(key, testing::to_floats(raw.values[i]));
      }
    }
    ASSERT_EQ(states_.size(), 20U);
  }

  // Normalised predictions of sample `index`, f32 [steps, kMaxDim], padded with numbers that must
  // not matter.
  std::vector<float> prediction(size_t index) const {
    std::vector<float> out(static_cast<size_t>(config_.action_steps() * kMaxDim), 0.75F);
    for (const ActionKeyLayout& key : action_layout(config_)) {
      const Samples pred = read_samples(tensors_, "pred." + key.key);
      for (int64_t step = 0; step < config_.action_steps(); ++step) {
        for (int64_t d = 0; d < key.dims; ++d) {
          out[static_cast<size_t>(step * kMaxDim + key.offset + d)] =
              static_cast<float>(pred.values[index][static_cast<size_t>(step * key.dims + d)]);
        }
      }
    }
    return out;
  }

  ProcessorConfig config_;
  io::SafetensorsFile tensors_;
  std::vector<States> states_;  // one a sample
};

TEST_P(StateActionGolden, EncodesStates) {
  const StateEncoder encoder(config_);
  for (const std::string& key : config_.modalities.state.keys) {
    const Samples expected = read_samples(tensors_, "state_normalized." + key);
    const int64_t width = encoder.width(key);
    ASSERT_EQ(expected.extents, (std::vector<int64_t>{config_.state_steps(), width}));
    for (size_t i = 0; i < states_.size(); ++i) {
      const std::vector<StateGroup> groups = states_[i].groups();
      std::vector<float> actual(static_cast<size_t>(config_.state_steps() * width));
      const Status status = encoder.encode_group(*find_state_group(groups, key, 0), actual);
      ASSERT_TRUE(status.ok()) << status.message();
      expect_near(actual, expected.values[i], key);
    }
  }
}

TEST_P(StateActionGolden, ConcatenatesAndPadsStates) {
  std::vector<Samples> expected;
  for (const std::string& key : config_.modalities.state.keys) {
    expected.push_back(read_samples(tensors_, "state_normalized." + key));
  }
  const auto steps = static_cast<size_t>(config_.state_steps());
  for (size_t i = 0; i < states_.size(); ++i) {
    std::vector<float> actual(steps * kMaxDim, 99.0F);
    const Status status = encode_state(config_, states_[i].groups(), actual);
    ASSERT_TRUE(status.ok()) << status.message();
    std::vector<double> row;
    for (size_t step = 0; step < steps; ++step) {
      for (const Samples& key : expected) {
        const auto width = key.extents[1];
        const auto begin = key.values[i].begin() + static_cast<std::ptrdiff_t>(step) * width;
        row.insert(row.end(), begin, begin + width);
      }
      row.resize((step + 1) * kMaxDim, 0.0);
    }
    expect_near(actual, row, "state");
  }
}

TEST_P(StateActionGolden, DecodesActions) {
  const std::vector<ActionKeyLayout> layout = action_layout(config_);
  for (size_t k = 0; k < layout.size(); ++k) {
    const Samples expected = read_samples(tensors_, "pred_decoded." + layout[k].key);
    for (size_t i = 0; i < states_.size(); ++i) {
      std::vector<double> actual;
      const Status status = decode_action_key(config_, k, prediction(i), config_.action_steps(),
                                              states_[i].groups(), actual);
      ASSERT_TRUE(status.ok()) << status.message();
      expect_near(actual, expected.values[i], layout[k].key);
    }
  }
}

// The f32 path is the f64 one, rounded once at the end; and a longer horizon changes nothing.
TEST_P(StateActionGolden, DecodesToFloatsOfALongerHorizon) {
  const ActionDecoder decoder(config_);
  const int64_t steps = config_.action_steps();
  for (size_t i = 0; i < states_.size(); ++i) {
    std::vector<float> normalized = prediction(i);
    normalized.resize(normalized.size() + 3 * kMaxDim, 0.5F);
    std::vector<std::vector<float>> storage;
    for (const ActionKeyLayout& key : decoder.layout()) {
      storage.emplace_back(static_cast<size_t>(steps * key.output_dims));
    }
    const std::vector<std::span<float>> dst(storage.begin(), storage.end());
    const Status status = decoder.decode(normalized, steps + 3, states_[i].groups(), dst);
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t k = 0; k < storage.size(); ++k) {
      std::vector<double> exact(storage[k].size());
      ASSERT_TRUE(decoder.decode_key(k, normalized, steps + 3, states_[i].groups(), exact).ok());
      EXPECT_EQ(storage[k], testing::to_floats(exact));
    }
  }
}

TEST_P(StateActionGolden, EncodesActions) {
  if (GetParam().ends_with("_decode")) {  // formats that the original cannot encode either
    const std::vector<float> raw(static_cast<size_t>(config_.action_steps()) * 9, 0.5F);
    std::vector<double> dst;
    EXPECT_EQ(encode_action_key(config_, 0, raw, states_[0].groups(), dst).code(),
              Code::kUnsupported);
    return;
  }
  const std::vector<std::string>& keys = config_.modalities.action.keys;
  for (size_t k = 0; k < keys.size(); ++k) {
    const Samples raw = read_samples(tensors_, "action." + keys[k]);
    const Samples expected = read_samples(tensors_, "action_normalized." + keys[k]);
    for (size_t i = 0; i < states_.size(); ++i) {
      std::vector<double> actual;
      const Status status = encode_action_key(config_, k, testing::to_floats(raw.values[i]),
                                              states_[i].groups(), actual);
      ASSERT_TRUE(status.ok()) << status.message();
      expect_near(actual, expected.values[i], keys[k]);
    }
  }
}

std::vector<std::string> golden_modes() {
  std::vector<std::string> modes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, error)) {
    if (entry.path().extension() == ".json") {
      modes.push_back(entry.path().stem().string());
    }
  }
  std::ranges::sort(modes);
  return modes;
}

TEST(StateActionGoldenFiles, AreAllThere) {
  EXPECT_EQ(golden_modes().size(), 17U);
}

INSTANTIATE_TEST_SUITE_P(Modes, StateActionGolden, ::testing::ValuesIn(golden_modes()),
                         [](const auto& mode) { return mode.param; });

// Whole runs: the state that entered the network and the actions that the policy returned.
struct Run {
  const char* name;
  const char* tag;
};

class NanoRun : public ::testing::TestWithParam<Run> {};

TEST_P(NanoRun, AgreesOnStateAndActions) {
  const ProcessorConfig config =
      testing::resolve_or_fail(testing::read_files("tests/golden/nano/checkpoint"), GetParam().tag);
  Result<io::SafetensorsFile> file = io::SafetensorsFile::open(std::string("tests/golden/cases/") +
                                                               GetParam().name + ".safetensors");
  ASSERT_TRUE(file.ok()) << file.status().message();
  States states;
  for (const std::string& key : config.modalities.state.keys) {
    const Samples raw = read_samples(file.value(), "obs.state." + key);
    states.add(key, testing::to_floats(raw.values.at(0)));
  }
  std::vector<float> encoded(static_cast<size_t>(config.max_state_dim));
  ASSERT_TRUE(encode_state(config, states.groups(), encoded).ok());
  expect_near(encoded, read_samples(file.value(), "state").values.at(0), "state");

  const Samples normalized = read_samples(file.value(), "action_pred");
  const std::vector<ActionKeyLayout> layout = action_layout(config);
  for (size_t k = 0; k < layout.size(); ++k) {
    std::vector<double> actual;
    const Status status = decode_action_key(config, k, testing::to_floats(normalized.values.at(0)),
                                            normalized.extents[0], states.groups(), actual);
    ASSERT_TRUE(status.ok()) << status.message();
    const Samples expected = read_samples(file.value(), "action." + layout[k].key);
    EXPECT_EQ(expected.extents,
              (std::vector<int64_t>{config.action_steps(), layout[k].output_dims}));
    expect_near(testing::to_floats(actual), expected.values.at(0), layout[k].key);
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, NanoRun,
                         ::testing::Values(Run{"main", "new_embodiment"},
                                           Run{"g1_eef_relative_history", "UNITREE_G1"},
                                           Run{"libero_horizon8", "Libero_Panda"}),
                         [](const auto& run) { return std::string(run.param.name); });

}  // namespace
}  // namespace sinew::preprocess
