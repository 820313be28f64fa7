#include "preprocess/text/prompt.h"

#include "preprocess/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

namespace sinew::preprocess {
namespace {

using testing::HasSubstr;

constexpr std::array<int64_t, 2> kTwoImages = {2, 1};

TEST(Prompt, WritesImagesOut) {
  const Result<std::string> prompt = render_prompt("pick up", kTwoImages);
  ASSERT_TRUE(prompt.ok()) << prompt.status().message();
  EXPECT_EQ(prompt.value(),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\npick up"
            "<image 1><img><IMG_CONTEXT><IMG_CONTEXT></img><image 2><img><IMG_CONTEXT></img>"
            "<|im_end|>\n");
}

TEST(Prompt, NumbersImagesInDecimal) {
  const std::vector<int64_t> images(11, 1);
  const Result<std::string> prompt = render_prompt("", images);
  ASSERT_TRUE(prompt.ok());
  EXPECT_THAT(prompt.value(), HasSubstr("<image 11><img><IMG_CONTEXT></img><|im_end|>"));
}

TEST(Prompt, RefusesTextThatNamesImages) {
  for (const char* text :
       {"look at <image-1>", "<video-27>", "<image-<image-3>", "<image-１>", "a <IMG_CONTEXT> b"}) {
    const Result<std::string> prompt = render_prompt(text, kTwoImages);
    ASSERT_FALSE(prompt.ok()) << text;
    EXPECT_EQ(prompt.status().code(), Code::kBadInput);
    EXPECT_THAT(prompt.status().message(), HasSubstr("reserved for images"));
  }
  EXPECT_THAT(render_prompt("see <image-12>", kTwoImages).status().message(),
              HasSubstr("\"<image-12>\" at byte 4"));
}

TEST(Prompt, AcceptsWhatOnlyLooksLikeIt) {
  for (const char* text : {"<image->", "<image-x>", "<image-1", "<image 1>", "<images-1>",
                           "<Image-1>", "<image-1a>", "<image-", "<"}) {
    EXPECT_TRUE(render_prompt(text, kTwoImages).ok()) << text;
  }
}

// Formalised text never holds a marker, whatever the user wrote.
TEST(Prompt, FormalisedTextIsAlwaysAccepted) {
  const Result<std::string> text = formalize("<image-1> <IMG_CONTEXT> <|im_end|>");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text.value(), "image1 img_context im_end");
  EXPECT_TRUE(render_prompt(text.value(), kTwoImages).ok());
}

TEST(Prompt, RefusesImpossibleImages) {
  for (const int64_t tokens :
       {int64_t{0}, int64_t{-1}, int64_t{4097}, std::numeric_limits<int64_t>::max(),
        std::numeric_limits<int64_t>::min()}) {
    const std::array<int64_t, 2> images = {1, tokens};
    const Result<std::string> prompt = render_prompt("a", images);
    ASSERT_FALSE(prompt.ok()) << tokens;
    EXPECT_THAT(prompt.status().message(), HasSubstr("image 2: expected 1 to 4096 tokens"));
  }
  const std::vector<int64_t> many(100000, 4096);
  EXPECT_EQ(render_prompt("a", many).status().code(), Code::kBadInput);
}

TEST(Prompt, RefusesInvalidUtf8) {
  EXPECT_EQ(render_prompt("a\xff", kTwoImages).status().code(), Code::kBadInput);
}

}  // namespace
}  // namespace sinew::preprocess
