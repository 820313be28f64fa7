#include "cli/observation_file.h"

#include "io/file.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "preprocess/text/tokenizer.h"
#include "support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

namespace sinew::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ObservationFileTest : public testing::Test {
 protected:
  ObservationFileTest() {
    const std::vector<uint8_t> pixels{1, 2, 3, 4, 5, 6};
    write("front.png", preprocess::encode_png({pixels.data(), 1, 2}).value());
  }

  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(io::write_file_atomic(folder_ / name, text).ok());
  }

  Result<ObservationFile> read(const std::string& json) {
    write("obs.json", json);
    return read_observation_file(folder_ / "obs.json");
  }

  test::TempFolder folder_;
};

constexpr const char* kGood = R"({"embodiment_tag": "New_Embodiment",
  "video": {"front": ["front.png"]}, "state": {"arm": [[0.5, -1]]}, "language": "go"})";

// Arrays of a good file: video.front u8 [1, 1, 2, 3], state.arm f32 [1, 2].
struct Arrays {
  std::vector<uint8_t> pixels{1, 2, 3, 4, 5, 6};
  std::vector<float> state{0.5F, -1};
  Shape video_shape{1, 1, 2, 3};
  Shape state_shape{1, 2};
  std::string video_name = "video.front";
  std::map<std::string, std::string> texts{{"language", "go"}, {"embodiment_tag", "GR1"}};

  Result<ObservationFile> as_safetensors(const test::TempFolder& folder) const {
    const std::vector<io::NamedTensor> tensors{
        {video_name, {pixels.data(), DType::kU8, video_shape}},
        {"state.arm", {state.data(), DType::kF32, state_shape}}};
    EXPECT_TRUE(io::write_safetensors(folder / "obs.safetensors", tensors, texts).ok());
    return read_observation_file(folder / "obs.safetensors");
  }
};

TEST_F(ObservationFileTest, JsonWithImagesRelativeToTheFile) {
  const Result<ObservationFile> file = read(kGood);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file.value().embodiment_tag, "new_embodiment");
  ASSERT_EQ(file.value().steps.size(), 1U);
  const dataset::Step& step = file.value().steps[0];
  EXPECT_EQ(step.video[0].key, "front");
  EXPECT_EQ(step.video[0].frames[0].width, 2);
  EXPECT_THAT(step.video[0].frames[0].pixels, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(step.state[0].values, ElementsAre(0.5F, -1.0F));
  EXPECT_EQ(step.state[0].dims, 2);
  EXPECT_EQ(step.language, "go");
}

TEST_F(ObservationFileTest, AListIsABatch) {
  const Result<ObservationFile> file = read(std::string("[") + kGood + "," + kGood + "]");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file.value().steps.size(), 2U);
}

TEST_F(ObservationFileTest, BadJsonIsRefusedByKey) {
  const std::map<std::string, std::string> cases{
      {R"({"video": {}, "state": {}})", "language"},
      {R"({"video": {}, "language": "x"})", "state"},
      {R"({"video": {}, "state": {}, "language": 3})", "language"},
      {R"({"video": {"front": "front.png"}, "state": {}, "language": ""})", "video.front"},
      {R"({"video": {"front": []}, "state": {}, "language": ""})", "video.front"},
      {R"({"video": {"front": ["no.png"]}, "state": {}, "language": ""})", "no.png"},
      {R"({"video": {"front": ["obs.json"]}, "state": {}, "language": ""})", "obs.json"},
      {R"({"video": {}, "state": {"arm": [1, 2]}, "language": ""})", "state.arm"},
      {R"({"video": {}, "state": {"arm": [[1, 2], [3]]}, "language": ""})", "state.arm"},
      {R"({"video": {}, "state": {"arm": []}, "language": ""})", "state.arm"},
      {R"({"video": {}, "state": {"arm": [[]]}, "language": ""})", "state.arm"},
      {R"({"video": {}, "state": {"arm": [[NaN]]}, "language": ""})", "finite"},
      {R"({"video": {}, "state": {"arm": [[1e39]]}, "language": ""})", "finite"},
      {R"({"video": {}, "state": {"arm": [["1"]]}, "language": ""})", "state.arm"},
      {R"({"video": {}, "state": {}, "language": "", "annotation": 1})", "annotation"},
      {"[]", "batch"},
      {"3", "object"},
      {"{", "obs.json"},
      {std::string(100000, '['), "obs.json"},
      {std::string("[") + kGood +
           R"(, {"embodiment_tag": "gr1", "video": {}, "state": {}, "language": ""}])",
       "embodiment_tag"}};
  for (const auto& [json, expected] : cases) {
    const Result<ObservationFile> file = read(json);
    ASSERT_FALSE(file.ok()) << json.substr(0, 100);
    EXPECT_TRUE(file.status().code() == Code::kBadInput || file.status().code() == Code::kNotFound);
    EXPECT_THAT(file.status().message(), AllOf(HasSubstr(expected), HasSubstr("obs.json")))
        << json.substr(0, 100);
  }
}

TEST_F(ObservationFileTest, TooLongAnInstructionIsRefused) {
  const auto with_text = [&](size_t bytes) {
    return read(R"({"video": {}, "state": {}, "language": ")" + std::string(bytes, 'a') + "\"}");
  };
  EXPECT_TRUE(with_text(preprocess::kMaxInstructionBytes).ok());
  const Status status = with_text(preprocess::kMaxInstructionBytes + 1).status();
  EXPECT_EQ(status.code(), Code::kBadInput);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("obs.json"), HasSubstr("language"),
                                      HasSubstr("at most 16384 bytes"), HasSubstr("found 16385")));
  Arrays arrays;
  arrays.texts["language"] = std::string(preprocess::kMaxInstructionBytes + 1, 'a');
  EXPECT_THAT(arrays.as_safetensors(folder_).status().message(),
              AllOf(HasSubstr("obs.safetensors"), HasSubstr("found 16385")));
}

TEST_F(ObservationFileTest, FramesHaveALimitInAllHoweverOftenOneIsNamed) {
  const std::string one =
      R"({"video": {"a": ["front.png", "front.png"], "b": ["front.png"]}, "state": {},
          "language": ""})";  // three frames of 1 x 2
  const auto read_with = [&](const std::string& json, const ObservationLimits& limits) {
    write("obs.json", json);
    return read_observation_file(folder_ / "obs.json", limits).status();
  };
  EXPECT_TRUE(read_with(one, {.pixels = 6, .file_pixels = 6}).ok());
  const Status status = read_with(one, {.pixels = 5});
  EXPECT_EQ(status.code(), Code::kBadInput);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("obs.json"), HasSubstr("video.b"), HasSubstr("front.png (1 x 2)"),
                    HasSubstr("this observation have 6 pixels, at most 5")));
  const std::string batch = "[" + one + "," + one + "]";
  EXPECT_TRUE(read_with(batch, {.pixels = 6, .file_pixels = 12}).ok());
  EXPECT_THAT(read_with(batch, {.pixels = 6, .file_pixels = 11}).message(),
              HasSubstr("this batch have 12 pixels, at most 11"));
  const Arrays arrays;
  ASSERT_TRUE(arrays.as_safetensors(folder_).ok());
  EXPECT_THAT(read_observation_file(folder_ / "obs.safetensors", {.pixels = 1}).status().message(),
              AllOf(HasSubstr("video.front[0] (1 x 2)"), HasSubstr("have 2 pixels, at most 1")));
}

TEST_F(ObservationFileTest, MissingFileAndUnknownEnding) {
  EXPECT_EQ(read_observation_file(folder_ / "none.json").status().code(), Code::kNotFound);
  const Status status = read_observation_file(folder_ / "front.png").status();
  EXPECT_EQ(status.code(), Code::kBadInput);
  EXPECT_THAT(status.message(), HasSubstr(".safetensors"));
}

TEST_F(ObservationFileTest, Safetensors) {
  const Result<ObservationFile> file = Arrays().as_safetensors(folder_);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file.value().embodiment_tag, "gr1");
  const dataset::Step& step = file.value().steps[0];
  EXPECT_THAT(step.video[0].frames[0].pixels, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(step.state[0].values, ElementsAre(0.5F, -1.0F));
  EXPECT_EQ(step.language, "go");
}

TEST_F(ObservationFileTest, BadArraysAreRefusedByName) {
  Arrays wrong_rank;
  wrong_rank.video_shape = Shape{1, 2, 3};
  EXPECT_THAT(wrong_rank.as_safetensors(folder_).status().message(),
              AllOf(HasSubstr("video.front"), HasSubstr("[1, 2, 3]"), HasSubstr("u8")));
  Arrays wrong_type;
  wrong_type.video_name = "state.front";
  EXPECT_THAT(wrong_type.as_safetensors(folder_).status().message(),
              AllOf(HasSubstr("state.front"), HasSubstr("f32"), HasSubstr("U8")));
  Arrays not_finite;
  not_finite.state[1] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(not_finite.as_safetensors(folder_).status().message(),
              AllOf(HasSubstr("state.arm"), HasSubstr("element 1")));
  Arrays unknown;
  unknown.video_name = "frame.front";
  EXPECT_THAT(unknown.as_safetensors(folder_).status().message(), HasSubstr("frame.front"));
  Arrays no_language;
  no_language.texts.clear();
  EXPECT_EQ(no_language.as_safetensors(folder_).status().code(), Code::kNotFound);
}

TEST_F(ObservationFileTest, NpzNeedsItsLanguageMember) {
  const Arrays arrays;
  const std::vector<io::NpzWriteMember> members{
      {"video.front", {arrays.pixels.data(), DType::kU8, arrays.video_shape}},
      {"state.arm", {arrays.state.data(), DType::kF32, arrays.state_shape}}};
  ASSERT_TRUE(io::write_npz(folder_ / "obs.npz", members).ok());
  const Status status = read_observation_file(folder_ / "obs.npz").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("language"));
}

}  // namespace
}  // namespace sinew::cli
