// Ids against the original's: the nano tokenizer always, the real Qwen vocabulary where the
// environment variable SINEW_QWEN_DIR names a folder with vocab.json and merges.txt.
#include "preprocess/text/prompt.h"
#include "preprocess/text/text_support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace sinew::preprocess {
namespace {

void expect_ids(const Tokenizer& tokenizer, const std::string& text,
                const std::vector<int32_t>& expected) {
  const Result<std::vector<int32_t>> ids = tokenizer.encode(text);
  ASSERT_TRUE(ids.ok()) << ids.status().message();
  EXPECT_EQ(ids.value(), expected) << testing::PrintToString(text);
}

std::string prompt_of(const std::string& text, const std::vector<int64_t>& image_tokens) {
  const Result<std::string> prompt = render_prompt(text, image_tokens);
  EXPECT_TRUE(prompt.ok()) << prompt.status().message();
  return prompt.ok() ? prompt.value() : "";
}

std::string unexpanded(const std::string& text, size_t images) {
  std::string placeholders;
  for (size_t k = 1; k <= images; ++k) {
    placeholders += "<image-" + std::to_string(k) + ">";
  }
  return render_chat(text, placeholders);
}

// Raw instruction to ids, through every step.
void expect_prompt_case(const Tokenizer& tokenizer, const io::Json& entry,
                        const std::vector<int64_t>& image_tokens,
                        const std::vector<int32_t>& expected) {
  const Result<std::string> text = formalize(entry["text"].get<std::string>());
  ASSERT_TRUE(text.ok()) << text.status().message();
  EXPECT_EQ(unexpanded(text.value(), image_tokens.size()), entry["prompt"].get<std::string>());
  expect_ids(tokenizer, prompt_of(text.value(), image_tokens), expected);
}

TEST(TokenizerGolden, NanoStrings) {
  const Tokenizer tokenizer = load_nano_tokenizer();
  const io::Json cases = read_golden("preproc/nano_tokens.json")["cases"];
  ASSERT_EQ(cases.size(), 150U);
  for (const io::Json& entry : cases) {
    expect_ids(tokenizer, entry["text"].get<std::string>(), ids_of(entry["ids"]));
  }
}

TEST(TokenizerGolden, NanoInstructions) {
  const Tokenizer tokenizer = load_nano_tokenizer();
  const io::Json cases = read_golden("preproc/language.json");
  ASSERT_EQ(cases.size(), 12U);
  for (const io::Json& entry : cases) {
    const std::vector<int32_t> ids = ids_of(entry["nano_input_ids"]);
    expect_prompt_case(tokenizer, entry, entry["image_tokens_each"].get<std::vector<int64_t>>(),
                       ids);
    const Result<std::string> decoded = tokenizer.decode(ids);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded.value(), entry["decoded"].get<std::string>());
  }
}

TEST(TokenizerGolden, ModelCases) {
  const Tokenizer tokenizer = load_nano_tokenizer();
  const io::Json cases = read_golden("preproc/case_tokens.json")["cases"];
  ASSERT_EQ(cases.size(), 5U);
  for (const io::Json& entry : cases) {
    expect_prompt_case(tokenizer, entry, entry["image_tokens"].get<std::vector<int64_t>>(),
                       ids_of(entry["ids"]));
    if (!entry["pad_id"].is_null()) {
      EXPECT_EQ(entry["pad_id"].get<int32_t>(), tokenizer.pad_token_id());
    }
  }
}

class QwenTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("SINEW_QWEN_DIR");  // NOLINT(concurrency-mt-unsafe)
    if (folder == nullptr) {
      GTEST_SKIP() << "SINEW_QWEN_DIR is not set: name a folder with the real Qwen vocab.json and "
                      "merges.txt to run this";
    }
    Result<Tokenizer> loaded = load_tokenizer(folder);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    tokenizer_ = std::move(loaded).value();
  }

  const Tokenizer& tokenizer() const { return *tokenizer_; }

  size_t prompt_length(const std::string& text, const std::vector<int64_t>& image_tokens) const {
    const Result<std::vector<int32_t>> ids = tokenizer().encode(prompt_of(text, image_tokens));
    EXPECT_TRUE(ids.ok()) << ids.status().message();
    return ids.ok() ? ids.value().size() : 0;
  }

 private:
  std::optional<Tokenizer> tokenizer_;
};

TEST_F(QwenTokenizer, RecordedStrings) {
  const io::Json cases = read_golden("preproc/qwen_tokens.json")["cases"];
  ASSERT_EQ(cases.size(), 400U);
  for (const io::Json& entry : cases) {
    const std::vector<int32_t> ids = ids_of(entry["ids"]);
    expect_ids(tokenizer(), entry["text"].get<std::string>(), ids);
    const Result<std::string> decoded = tokenizer().decode(ids);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded.value(), entry["decoded"].get<std::string>());
  }
}

// spec/preprocessing.md section 4.6.
TEST_F(QwenTokenizer, PromptsOfTheSpec) {
  const std::vector<int32_t> prefix = {151644, 8948, 198,    2610, 525,    264, 10950,
                                       17847,  13,   151645, 198,  151644, 872, 198};
  const auto with_prefix = [&prefix](std::initializer_list<int32_t> rest) {
    std::vector<int32_t> ids = prefix;
    ids.insert(ids.end(), rest);
    return ids;
  };
  expect_ids(tokenizer(), prompt_of("cube into yellow bowl", {3, 3}),
             with_prefix({45411,  1119,   13753,  19212,  27,     1805,   220,    16,  29,
                          151670, 151669, 151669, 151669, 151671, 27,     1805,   220, 17,
                          29,     151670, 151669, 151669, 151669, 151671, 151645, 198}));
  expect_ids(
      tokenizer(), prompt_of("pick the pear from the counter and place it in the plate", {2}),
      with_prefix({29245, 279,  37690, 504, 279, 5546,   323,    1992,   432,    304,    279, 11968,
                   27,    1805, 220,   16,  29,  151670, 151669, 151669, 151671, 151645, 198}));
  EXPECT_EQ(prompt_length("find the can and pick it up", {90, 90, 90, 90}), 411U);
  EXPECT_EQ(prompt_length("cube into yellow bowl", {108, 108}), 250U);
  // "10" is two tokens where "9" is one.
  const std::vector<int64_t> nine(9, 5);
  const std::vector<int64_t> ten(10, 5);
  EXPECT_EQ(prompt_length("", ten) - prompt_length("", nine), 13U);
}

TEST_F(QwenTokenizer, RawStringsOfTheSpec) {
  expect_ids(tokenizer(), "don't_stop 123  a\n\nb",
             {15007, 944, 19039, 220, 16, 17, 18, 220, 264, 271, 65});
  expect_ids(tokenizer(), " café", {51950});
}

TEST_F(QwenTokenizer, Sizes) {
  EXPECT_EQ(tokenizer().vocab_size(), 151680);
  EXPECT_EQ(tokenizer().image_token_id(), 151669);
  EXPECT_EQ(tokenizer().pad_token_id(), 151643);
}

}  // namespace
}  // namespace sinew::preprocess
