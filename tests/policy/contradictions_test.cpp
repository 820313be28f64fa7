// Checkpoints whose files contradict each other or the network: each is refused when it is loaded,
// with a message that names the file, what was expected and what was found. And mismatches with a
// rule: resolved by it, and said.
#include "support/checkpoint_copy.h"

#include "sinew/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sinew {
namespace {

using io::Json;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

const std::filesystem::path kNano = "tests/golden/nano/checkpoint";

struct Damage {
  const char* name;
  const char* file;  // below the folder that holds checkpoint/ and eagle/
  void (*change)(Json&);
  const char* expected;  // parts of the message
  const char* found;
};

class ContradictionTest : public testing::TestWithParam<Damage> {};

TEST_P(ContradictionTest, IsRefusedAtLoad) {
  const test::CheckpointCopy copy(kNano);
  copy.edit(copy.path().parent_path() / GetParam().file, GetParam().change);
  const auto policy = Policy::load({.model_path = copy.path(), .embodiment_tag = "new_embodiment"});
  ASSERT_FALSE(policy.ok());
  const Code code = policy.status().code();
  EXPECT_TRUE(code == Code::kBadInput || code == Code::kNotFound) << code_name(code);
  EXPECT_THAT(policy.status().message(),
              AllOf(HasSubstr(GetParam().expected), HasSubstr(GetParam().found)));
}

constexpr const char* kConfig = "checkpoint/config.json";
constexpr const char* kProcessor = "checkpoint/processor_config.json";
constexpr const char* kVlm = "eagle/config.json";

INSTANTIATE_TEST_SUITE_P(
    Files, ContradictionTest,
    testing::Values(
        Damage{"no_horizon", kConfig, [](Json& j) { j.erase("action_horizon"); }, "config.json",
               "action_horizon"},
        Damage{"horizon_text", kConfig, [](Json& j) { j["action_horizon"] = "16"; }, "expected",
               "action_horizon"},
        Damage{"negative", kConfig, [](Json& j) { j["max_state_dim"] = -3; }, "max_state_dim",
               "-3"},
        Damage{"huge", kConfig, [](Json& j) { j["max_action_dim"] = 1LL << 50; }, "max_action_dim",
               "1125899906842624"},
        Damage{"family", kConfig, [](Json& j) { j["model_type"] = "Gr00tN9"; }, "Gr00tN1d6",
               "Gr00tN9"},
        Damage{"horizon_beyond_positions", kConfig, [](Json& j) { j["action_horizon"] = 65; }, "65",
               "64 action positions"},
        Damage{"horizon_short", kConfig, [](Json& j) { j["action_horizon"] = 8; }, "8", "16 steps"},
        Damage{"width", kConfig, [](Json& j) { j["input_embedding_dim"] = 100; }, "100",
               "2 heads of 48 = 96"},
        Damage{"hidden", kConfig, [](Json& j) { j["hidden_size"] = 32; }, "hidden_size is 32",
               "output_dim is 64"},
        Damage{"backbone_width", kConfig, [](Json& j) { j["backbone_embedding_dim"] = 2048; },
               "2048", "64 wide"},
        Damage{"norm_type", kConfig,
               [](Json& j) { j["diffusion_model_cfg"]["norm_type"] = "layer_norm"; }, "ada_norm",
               "layer_norm"},
        Damage{"no_self_attention", kConfig,
               [](Json& j) { j["diffusion_model_cfg"]["interleave_self_attention"] = false; },
               "interleave_self_attention", "expected true"},
        Damage{"dit_positions", kConfig,
               [](Json& j) { j["diffusion_model_cfg"]["positional_embeddings"] = "sinusoidal"; },
               "positional_embeddings", "expected null"},
        Damage{"dit_layers", kConfig, [](Json& j) { j["diffusion_model_cfg"]["num_layers"] = 6; },
               "tensors are missing", "transformer_blocks.4."},
        Damage{"select_layer", kConfig, [](Json& j) { j["select_layer"] = 5; },
               "tensors are missing", "layers.2."},
        Damage{"embodiments", kConfig, [](Json& j) { j["max_num_embodiments"] = 5; }, "implies [5,",
               "has [4,"},
        Damage{"state_width", kConfig, [](Json& j) { j["max_state_dim"] = 64; }, "max_state_dim 32",
               "64"},
        Damage{"reprojected", kConfig, [](Json& j) { j["reproject_vision"] = true; },
               "reproject_vision", "found true"},
        Damage{"embodiment_slot", "checkpoint/embodiment_id.json",
               [](Json& j) { j["new_embodiment"] = 4; }, "0 to 3", "4"},
        Damage{"vision_rope", kVlm, [](Json& j) { j["vision_config"]["use_rope"] = true; },
               "use_rope", "expected false"},
        Damage{"vision_windows", kVlm,
               [](Json& j) { j["vision_config"]["use_windows_attn"] = true; }, "use_windows_attn",
               "expected false"},
        Damage{"vision_heads", kVlm, [](Json& j) { j["vision_config"]["num_attention_heads"] = 5; },
               "144", "5 heads"},
        Damage{"vision_positions", kVlm, [](Json& j) { j["vision_config"]["num_patches"] = 250; },
               "square", "250"},
        Damage{"attention_bias", kVlm, [](Json& j) { j["text_config"]["attention_bias"] = true; },
               "attention_bias", "expected false"},
        Damage{"rope_scaling", kVlm,
               [](Json& j) {
                 j["text_config"]["rope_scaling"] = {{"factor", 2}};
               },
               "rope_scaling", "expected null"},
        Damage{"sliding_window", kVlm,
               [](Json& j) { j["text_config"]["use_sliding_window"] = true; }, "use_sliding_window",
               "expected false"},
        Damage{"image_token", kVlm, [](Json& j) { j["image_token_index"] = 3; },
               "image_token_index 3", "belongs to another model"},
        Damage{"vocabulary", kVlm, [](Json& j) { j["text_config"]["vocab_size"] = 500; }, "500",
               "another model"},
        Damage{"kv_heads", kVlm, [](Json& j) { j["text_config"]["num_key_value_heads"] = 3; },
               "key-value heads", "3"},
        Damage{"unknown_kwarg", kProcessor, [](Json& j) { j["processor_kwargs"]["sharpen"] = 1; },
               "processor_config.json", "sharpen"}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(Mismatch, OfHorizonsIsResolvedByTheFlagAndSaid) {
  const test::CheckpointCopy copy(kNano);
  copy.edit(copy.path() / "config.json", [](Json& j) { j["action_horizon"] = 50; });

  struct Expected {
    const char* flag;
    int64_t horizon;
  };

  for (const Expected& e :
       {Expected{"checkpoint", 50}, Expected{"modality", 16}, Expected{"20", 20}}) {
    const auto policy = Policy::load(
        {.model_path = copy.path(), .embodiment_tag = "new_embodiment", .horizon = e.flag});
    ASSERT_TRUE(policy.ok()) << policy.status().message();
    EXPECT_EQ(policy.value().info().horizon, e.horizon);
    EXPECT_EQ(policy.value().info().action_steps, 16);
    EXPECT_THAT(policy.value().info().notices,
                Contains(AllOf(HasSubstr("action_horizon 50"), HasSubstr("delta_indices 16"))));
  }
}

TEST(Mismatch, OfRepeatedImageSettingsKeepsTheProcessorsAndSaysSo) {
  const test::CheckpointCopy copy(kNano);
  copy.edit(copy.path() / "config.json", [](Json& j) { j["crop_fraction"] = 0.5; });
  const auto policy = Policy::load({.model_path = copy.path(), .embodiment_tag = "new_embodiment"});
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  EXPECT_THAT(policy.value().info().notices,
              Contains(AllOf(HasSubstr("crop_fraction"), HasSubstr("0.95"))));
}

TEST(Checkpoint, WithoutEmbodimentIdsSaysWhoseIdDoesNotFit) {
  const test::CheckpointCopy copy(kNano);
  const auto load = [&] {
    return Policy::load({.model_path = copy.path(), .embodiment_tag = "new_embodiment"}).status();
  };
  const auto file = copy.path() / "embodiment_id.json";
  copy.edit(file, [](Json& j) { j.erase("new_embodiment"); });
  EXPECT_THAT(load().message(), AllOf(HasSubstr("embodiment id 10: expected 0 to 3"),
                                      HasSubstr(file.string() + " has no entry \"new_embodiment\""),
                                      HasSubstr("built-in table")));
  std::filesystem::remove(file);
  const Status missing = load();
  EXPECT_EQ(missing.code(), Code::kBadInput);
  EXPECT_THAT(missing.message(),
              AllOf(HasSubstr("embodiment id 10: expected 0 to 3"),
                    HasSubstr(file.string() + " is missing, so the built-in table gave the id"),
                    HasSubstr("copy embodiment_id.json from")));
}

TEST(Checkpoint, PositionsOfTheLanguageModelLimitThePrompt) {
  const test::CheckpointCopy copy(kNano);
  const auto load = [&](int64_t positions) {
    copy.edit(copy.eagle_path() / "config.json",
              [&](Json& j) { j["text_config"]["max_position_embeddings"] = positions; });
    return Policy::load({.model_path = copy.path(), .embodiment_tag = "new_embodiment"}).status();
  };
  EXPECT_TRUE(load(4096).ok());
  EXPECT_THAT(load(16).message(), HasSubstr("the language model has 16 positions"));
}

TEST(Checkpoint, FilesAreNeverModified) {
  const test::CheckpointCopy copy(kNano);
  copy.edit(copy.path() / "config.json", [](Json& j) { j["action_horizon"] = 50; });
  const auto before = std::filesystem::last_write_time(copy.path() / "config.json");
  ASSERT_TRUE(Policy::load({.model_path = copy.path(), .embodiment_tag = "new_embodiment"}).ok());
  EXPECT_EQ(before, std::filesystem::last_write_time(copy.path() / "config.json"));
}

TEST(Checkpoint, WithoutVlmConfigIsHeldAgainstTheDimensionsOfN16) {
  const test::CheckpointCopy copy(kNano);
  std::filesystem::remove(copy.eagle_path() / "config.json");
  const auto policy = Policy::load({.model_path = copy.path(), .embodiment_tag = "new_embodiment"});
  ASSERT_FALSE(policy.ok());
  EXPECT_THAT(policy.status().message(), AllOf(HasSubstr("2048"), HasSubstr("64")));
}

}  // namespace
}  // namespace sinew
