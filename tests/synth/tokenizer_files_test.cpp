#include "synth/tokenizer_files.h"

#include "preprocess/text/tokenizer.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace sinew::synth {
namespace {

preprocess::Tokenizer load(int64_t first_added) {
  const TokenizerTexts texts = make_tokenizer_texts(first_added);
  auto tokenizer = preprocess::Tokenizer::load(
      {.vocab = texts.vocab, .merges = texts.merges, .added_tokens = texts.added, .where = "made"});
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return std::move(tokenizer).value();
}

TEST(SynthTokenizer, SpecialTokensHaveTheIdsOfN16) {
  const preprocess::Tokenizer tokenizer = load(151643);
  EXPECT_EQ(tokenizer.pad_token_id(), 151643);
  EXPECT_EQ(tokenizer.image_token_id(), 151669);
  EXPECT_EQ(tokenizer.vocab_size(), 151680);
  EXPECT_EQ(tokenizer.encode("<|im_start|></img>").value(), (std::vector<int32_t>{151644, 151671}));
}

TEST(SynthTokenizer, SmallIdsFitTheSmallNetwork) {
  const preprocess::Tokenizer tokenizer = load(859);
  EXPECT_EQ(tokenizer.image_token_id(), 885);
  EXPECT_EQ(tokenizer.vocab_size(), 896);
}

// 16 + words + (7 + n) an image: what the real vocabulary gives (spec/preprocessing.md 4.6).
TEST(SynthTokenizer, PromptsAreAsLongAsWithTheRealOne) {
  const preprocess::Tokenizer tokenizer = load(151643);
  const std::array<int64_t, 2> images{81, 3};
  const auto length = [&](const std::string& text) {
    const std::string prompt = preprocess::render_prompt(text, images).value();
    return tokenizer.encode(prompt).value().size();
  };
  EXPECT_EQ(length(""), 16U + 88 + 10);
  EXPECT_EQ(length("find the can and pick it up"), 16U + 7 + 88 + 10);
  EXPECT_EQ(length("cube into yellow bowl"), 16U + 4 + 88 + 10);
}

TEST(SynthTokenizer, AnyTextComesBack) {
  const preprocess::Tokenizer tokenizer = load(151643);
  const std::string text = "stack grün 積み木 2\n\tzweimal";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text).value()).value(), text);
}

}  // namespace
}  // namespace sinew::synth
