#include "synth/checkpoint.h"

#include "base/error.h"
#include "io/checkpoint.h"
#include "io/hash.h"
#include "model/gr00t_n1d6/weights.h"
#include "support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

namespace sinew::synth {
namespace {

using test::TempFolder;

Profile profile(std::string_view name) {
  return find_profile(name).value();
}

// Relative path -> hash of every file below.
std::map<std::string, std::string> hashes(const std::filesystem::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) {
      out[entry.path().lexically_relative(folder)] = io::hash_file_hex(entry.path()).value();
    }
  }
  return out;
}

// The published dump of the base model: spec/checkpoint.md section 2.
TEST(SynthCheckpoint, FullSizeHasThePublishedTensors) {
  const CheckpointSummary summary = summarize(profile("n1.6-3b"));
  EXPECT_EQ(summary.tensors, 1106);
  EXPECT_EQ(summary.parameters, 3'286'608'832);
  EXPECT_EQ(summary.tensor_bytes, 6'573'217'664U);
  EXPECT_EQ(summary.shards, 2);
  std::map<std::string, int64_t> parts;
  for (const auto& tensor : model::gr00t_n1d6::checkpoint_tensors(profile("n1.6-3b").network)) {
    const std::string root = tensor.name.starts_with("action_head.")       ? "action"
                             : tensor.name.starts_with("backbone.model.l") ? "language"
                             : tensor.name.starts_with("backbone.model.v") ? "vision"
                                                                           : "projector";
    parts[root] += tensor.shape.elements();
  }
  EXPECT_EQ(parts["action"], 1'418'624'000);
  EXPECT_EQ(parts["language"], 1'426'659'328);
  EXPECT_EQ(parts["vision"], 427'680'704);
  EXPECT_EQ(parts["projector"], 13'644'800);
}

TEST(SynthCheckpoint, NanoHasTheNamesTypesAndShapesOfTheRecordedOne) {
  const TempFolder folder;
  ASSERT_TRUE(write_checkpoint(profile("nano"), 1, folder / "made").ok());
  const auto made = io::Checkpoint::open(folder / "made");
  ASSERT_TRUE(made.ok()) << made.status().message();
  const auto recorded = io::Checkpoint::open("tests/golden/nano/checkpoint");
  ASSERT_TRUE(recorded.ok());
  ASSERT_EQ(made.value().tensors().size(), recorded.value().tensors().size());
  for (size_t i = 0; i < made.value().tensors().size(); ++i) {
    const io::TensorEntry& ours = made.value().tensors()[i];
    const io::TensorEntry& theirs = recorded.value().tensors()[i];
    EXPECT_EQ(ours.name, theirs.name);
    EXPECT_EQ(ours.view.shape, theirs.view.shape) << ours.name;
    EXPECT_EQ(ours.view.dtype, DType::kBf16);
  }
}

TEST(SynthCheckpoint, ConfigurationReadsBackAsTheProfile) {
  const TempFolder folder;
  const Profile nano = profile("nano");
  ASSERT_TRUE(write_checkpoint(nano, 1, folder / "made").ok());
  const auto checkpoint = io::Checkpoint::open(folder / "made");
  const auto vlm = io::open_vlm_folder(folder / "made", "");
  ASSERT_TRUE(checkpoint.ok() && vlm.ok());
  model::NetworkOptions options;
  options.action_steps = nano.action_steps;
  const auto config = model::gr00t_n1d6::resolve_config(checkpoint.value(), vlm.value(), options);
  ASSERT_TRUE(config.ok()) << config.status().message();
  const model::gr00t_n1d6::Config& got = config.value();
  const model::gr00t_n1d6::Config& want = nano.network;
  EXPECT_EQ(got.vision.layers, want.vision.layers);
  EXPECT_EQ(got.vision.heads, want.vision.heads);
  EXPECT_EQ(got.vision.positions, want.vision.positions);
  EXPECT_EQ(got.language.layers, want.language.layers);
  EXPECT_EQ(got.language.heads, want.language.heads);
  EXPECT_EQ(got.language.kv_heads, want.language.kv_heads);
  EXPECT_EQ(got.language.rope_theta, want.language.rope_theta);
  EXPECT_EQ(got.dit.layers, want.dit.layers);
  EXPECT_EQ(got.dit.ffn, want.dit.ffn);
  EXPECT_EQ(got.checkpoint_horizon, want.checkpoint_horizon);
  EXPECT_EQ(got.denoising_steps, want.denoising_steps);
  EXPECT_EQ(got.image_token_id, want.image_token_id);
  const auto shapes = [](const model::gr00t_n1d6::Config& c) {
    std::map<std::string, std::string> out;
    for (const auto& tensor : model::gr00t_n1d6::checkpoint_tensors(c)) {
      out[tensor.name] = tensor.shape.text();
    }
    return out;
  };
  EXPECT_EQ(shapes(got), shapes(want));
}

TEST(SynthCheckpoint, EqualSeedsGiveEqualBytes) {
  const TempFolder folder;
  ASSERT_TRUE(write_checkpoint(profile("nano"), 7, folder / "a").ok());
  ASSERT_TRUE(write_checkpoint(profile("nano"), 7, folder / "b").ok());
  ASSERT_TRUE(write_checkpoint(profile("nano"), 8, folder / "c").ok());
  const auto a = hashes(folder / "a");
  EXPECT_EQ(a, hashes(folder / "b"));
  const auto c = hashes(folder / "c");
  ASSERT_EQ(a.size(), c.size());
  for (const auto& [name, hash] : a) {
    EXPECT_EQ(name.ends_with(".safetensors"), c.at(name) != hash) << name;
  }
}

TEST(SynthCheckpoint, NothingIsLeftWhenItFails) {
  const TempFolder folder;
  size_t seen = 0;
  const auto cancelled =
      write_checkpoint(profile("nano"), 1, folder / "a", [&](size_t done, size_t total) {
        seen = done;
        return done > total / 2 ? internal_error("enough") : Status();
      });
  EXPECT_EQ(cancelled.status().message(), "enough");
  EXPECT_GT(seen, 0U);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));

  EXPECT_EQ(write_checkpoint(profile("nano"), 1, folder / "none/a").status().code(),
            Code::kNotFound);
  std::filesystem::create_directory(folder / "full");
  std::filesystem::create_directory(folder / "full/x");
  const auto refused = write_checkpoint(profile("nano"), 1, folder / "full");
  EXPECT_EQ(refused.status().code(), Code::kBadInput);
  EXPECT_THAT(refused.status().message(), testing::HasSubstr("not an empty folder"));
  EXPECT_TRUE(write_checkpoint(profile("nano"), 1, folder / "full/x/").ok());  // empty: replaced
  EXPECT_TRUE(std::filesystem::exists(folder / "full/x/config.json"));
}

TEST(SynthProfile, UnknownNamesAreAMistakeOfUse) {
  EXPECT_EQ(find_profile("n1.5").status().code(), Code::kUsage);
  for (const std::string_view name : profile_names()) {
    EXPECT_EQ(find_profile(name).value().name, name);
  }
}

}  // namespace
}  // namespace sinew::synth
