// Tokenizer files that must be refused, each with a message that says which and why.
#include "preprocess/text/text_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sinew::preprocess {
namespace {

using testing::HasSubstr;

void expect_refused(const TinyFiles& files, const std::string& message) {
  const Result<Tokenizer> tokenizer = files.load();
  ASSERT_FALSE(tokenizer.ok()) << "expected: " << message;
  EXPECT_EQ(tokenizer.status().code(), Code::kBadInput);
  EXPECT_THAT(tokenizer.status().message(), HasSubstr(message));
}

TEST(TokenizerFiles, TinyLoads) {
  const Result<Tokenizer> tokenizer = TinyFiles().load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer.value().image_token_id(), 303);
  EXPECT_EQ(tokenizer.value().pad_token_id(), 300);
  EXPECT_EQ(tokenizer.value().vocab_size(), 307);
}

TEST(TokenizerFiles, EveryByteNeedsAToken) {
  for (const int byte : {0, 32, 65, 127, 160, 173, 255}) {
    TinyFiles files;
    files.vocab.erase(byte_symbol(static_cast<unsigned char>(byte)));
    files.merges.clear();
    expect_refused(files, "tiny/vocab.json: expected a token for each of the 256 bytes");
  }
}

TEST(TokenizerFiles, IdsAreSmallIntegers) {
  for (const io::Json& id : {io::Json(-1), io::Json((1 << 24) + 1), io::Json(1.5), io::Json("7"),
                             io::Json(nullptr), io::Json(UINT64_MAX)}) {
    TinyFiles files;
    files.vocab["zz"] = id;
    expect_refused(files, "tiny/vocab.json: token \"zz\": expected an id from 0 to 16777216");
    TinyFiles added;
    (*added.added)["<box>"] = id;
    expect_refused(added, "tiny/added_tokens.json: token \"<box>\": expected an id");
  }
}

TEST(TokenizerFiles, NoIdTwice) {
  TinyFiles files;
  files.vocab["zz"] = 97;
  expect_refused(files, "tiny: id 97 is given to two tokens, \"a\" and \"zz\"");
  TinyFiles added;
  (*added.added)["<box>"] = 303;
  expect_refused(added, "id 303 is given to two tokens");
  TinyFiles across;
  (*across.added)["<box>"] = 97;
  expect_refused(across, "id 97 is given to two tokens");
}

TEST(TokenizerFiles, AddedTokenMayStandInTheVocabularyUnderTheSameId) {
  TinyFiles files;
  files.vocab["<|endoftext|>"] = 300;
  const Result<Tokenizer> tokenizer = files.load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer.value().encode("<|endoftext|>").value(), std::vector<int32_t>{300});
  files.vocab["<|endoftext|>"] = 299;
  expect_refused(files, "token \"<|endoftext|>\" is 299 in vocab.json and 300");
}

TEST(TokenizerFiles, ThePromptsTokensAreRequired) {
  for (const char* token :
       {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<IMG_CONTEXT>", "<img>", "</img>"}) {
    TinyFiles files;
    files.added->erase(token);
    expect_refused(files,
                   std::string("tiny/added_tokens.json: token \"") + token + "\" is missing");
  }
}

TEST(TokenizerFiles, AddedTokensAreFewAndShort) {
  TinyFiles empty;
  (*empty.added)[""] = 400;
  expect_refused(empty, "expected tokens of 1 to 256 bytes");
  TinyFiles long_token;
  (*long_token.added)[std::string(257, 'x')] = 400;
  expect_refused(long_token, "expected tokens of 1 to 256 bytes");
  TinyFiles many;
  for (int i = 0; i < 1024; ++i) {
    (*many.added)["<" + std::to_string(i) + ">"] = 400 + i;
  }
  expect_refused(many, "expected at most 1024 tokens");
}

TEST(TokenizerFiles, MergesNameKnownTokens) {
  for (const char* line : {"a zz", "zz a", "a c"}) {
    TinyFiles files;
    files.merges = std::string("#version: 0.2\n\na b\n") + line + "\n";
    expect_refused(files, "tiny/merges.txt: line 4: token \"");
  }
}

TEST(TokenizerFiles, MergesArePairs) {
  for (const char* line : {"ab", " ab", "ab ", "a b c", "a  b", " "}) {
    TinyFiles files;
    files.merges = std::string("a b\n") + line;
    expect_refused(files, "tiny/merges.txt: line 2: expected two tokens with a space between");
  }
}

TEST(TokenizerFiles, MergesMayHaveCarriageReturns) {
  TinyFiles files;
  files.merges = "#version: 0.2\r\na b\r\nab c";
  const Result<Tokenizer> tokenizer = files.load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer.value().encode("abc").value(), std::vector<int32_t>{257});
}

TEST(TokenizerFiles, BadJson) {
  const Result<Tokenizer> broken = Tokenizer::load(
      {.vocab = "{\"a\": ", .merges = "", .added_tokens = std::nullopt, .where = "tiny"});
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(broken.status().message(), HasSubstr("tiny/vocab.json"));
  TinyFiles list;
  list.vocab = io::Json::array();
  expect_refused(list, "tiny/vocab.json: expected an object of token: id, found array");
  TinyFiles added;
  added.added = io::Json("x");
  expect_refused(added, "tiny/added_tokens.json: expected an object of token: id, found string");
}

TEST(TokenizerFiles, WithoutAddedTokensTheQwenTableApplies) {
  TinyFiles files;
  files.added.reset();
  const Result<Tokenizer> tokenizer = files.load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer.value().image_token_id(), 151669);
  EXPECT_EQ(tokenizer.value().pad_token_id(), 151643);
  EXPECT_EQ(tokenizer.value().vocab_size(), 151680);
  EXPECT_EQ(tokenizer.value().encode("<think></interval>").value(),
            (std::vector<int32_t>{151667, 151679}));
}

}  // namespace
}  // namespace sinew::preprocess
