// Merging and splitting on a vocabulary small enough to follow by hand, and hostile texts.
#include "preprocess/text/text_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace sinew::preprocess {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Tokenizer tiny() {
  Result<Tokenizer> tokenizer = TinyFiles().load();
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return std::move(tokenizer).value();
}

std::vector<int32_t> encoded(const Tokenizer& tokenizer, std::string_view text) {
  Result<std::vector<int32_t>> ids = tokenizer.encode(text);
  EXPECT_TRUE(ids.ok()) << ids.status().message();
  return ids.ok() ? ids.value() : std::vector<int32_t>();
}

TEST(Tokenizer, LowestRankFirst) {
  const Tokenizer tokenizer = tiny();
  EXPECT_THAT(encoded(tokenizer, ""), IsEmpty());
  EXPECT_THAT(encoded(tokenizer, "abc"), ElementsAre(257));
  EXPECT_THAT(encoded(tokenizer, "xbc"), ElementsAre('x', 258));
  EXPECT_THAT(encoded(tokenizer, "aab"), ElementsAre('a', 256));  // "a b" ranks before "a a"
  EXPECT_THAT(encoded(tokenizer, " ab"), ElementsAre(' ', 256));  // and before "Ġ a"
  EXPECT_THAT(encoded(tokenizer, "x a"), ElementsAre('x', 259));
}

TEST(Tokenizer, LeftmostOfOneRank) {
  const Tokenizer tokenizer = tiny();
  EXPECT_THAT(encoded(tokenizer, "aaa"), ElementsAre(260, 'a'));
  EXPECT_THAT(encoded(tokenizer, "aaaaaaa"), ElementsAre(261, 260, 'a'));
}

TEST(Tokenizer, MergesDoNotCrossPieces) {
  const Tokenizer tokenizer = tiny();
  EXPECT_THAT(encoded(tokenizer, "1b"), ElementsAre('1', 'b'));
  EXPECT_THAT(encoded(tokenizer, "a<img>b"), ElementsAre('a', 304, 'b'));
}

TEST(Tokenizer, LongestAddedTokenWins) {
  const Tokenizer tokenizer = tiny();
  EXPECT_THAT(encoded(tokenizer, "<img><img>x<IMG_CONTEXT></img>"),
              ElementsAre(304, 306, 303, 305));
  EXPECT_THAT(encoded(tokenizer, "<<img>"), ElementsAre('<', 304));
  EXPECT_THAT(encoded(tokenizer, "<img"), ElementsAre('<', 'i', 'm', 'g'));
}

TEST(Tokenizer, NormalisesBetweenAddedTokens) {
  const Tokenizer tokenizer = tiny();
  EXPECT_THAT(encoded(tokenizer, "e\u0301"), ElementsAre(0xC3, 0xA9));
  // Not across one: the accent behind <img> has nothing to join.
  EXPECT_THAT(encoded(tokenizer, "e<img>\u0301"), ElementsAre('e', 304, 0xCC, 0x81));
  EXPECT_THAT(encoded(tokenizer, "\u212b"), ElementsAre(0xC3, 0x85));
}

TEST(Tokenizer, RefusesInvalidUtf8) {
  const Tokenizer tokenizer = tiny();
  EXPECT_EQ(tokenizer.encode("a\xff").status().code(), Code::kBadInput);
  EXPECT_EQ(tokenizer.encode(std::string((1 << 22) + 1, 'a')).status().code(), Code::kBadInput);
}

TEST(Tokenizer, DecodesWhatItEncodes) {
  const Tokenizer tokenizer = tiny();
  const std::string text = std::string("\0\x7f \t", 4) + "abc<img>\u3000é🤖<IMG_CONTEXT>";
  const Result<std::string> back = tokenizer.decode(encoded(tokenizer, text));
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back.value(), text);
}

TEST(Tokenizer, RefusesUnknownIds) {
  const Tokenizer tokenizer = tiny();
  for (const int32_t id : {-1, 299, 307, INT32_MAX}) {
    const std::vector<int32_t> ids = {97, id};
    EXPECT_EQ(tokenizer.decode(ids).status().code(), Code::kBadInput) << id;
  }
}

TEST(Tokenizer, LongWordsAndManyAddedTokensTakeLittleTime) {
  const Tokenizer tokenizer = tiny();
  const auto start = std::chrono::steady_clock::now();
  constexpr size_t kLength = 1000000;
  EXPECT_EQ(encoded(tokenizer, std::string(kLength, 'a')).size(), kLength / 4);
  EXPECT_EQ(encoded(tokenizer, std::string(kLength, '<')).size(), kLength);
  std::string context;
  for (int i = 0; i < 100000; ++i) {
    context += "<IMG_CONTEXT>";
  }
  EXPECT_EQ(encoded(tokenizer, context).size(), 100000U);
  // Marks in the order that a sort by swapping neighbours likes least.
  std::string marks = "a";
  for (const char* mark : {"\u0301", "\u0323"}) {
    for (int i = 0; i < 200000; ++i) {
      marks += mark;
    }
  }
  EXPECT_EQ(encoded(tokenizer, marks).size(), 800001U);  // the first dot below joins the letter
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace sinew::preprocess
