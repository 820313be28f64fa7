#include "preprocess/text/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace sinew::preprocess {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> pieces(const std::string& text) {
  const Result<Pretokenizer> splitter = Pretokenizer::create();
  EXPECT_TRUE(splitter.ok()) << splitter.status().message();
  const Result<std::vector<std::string_view>> split = splitter.value().split(text);
  EXPECT_TRUE(split.ok()) << split.status().message();
  return {split.value().begin(), split.value().end()};
}

TEST(Pretokenizer, WordsTakeOneLeadingCharacter) {
  EXPECT_THAT(pieces(""), IsEmpty());
  EXPECT_THAT(pieces("pick up"), ElementsAre("pick", " up"));
  EXPECT_THAT(pieces("don't_stop"), ElementsAre("don", "'t", "_stop"));
  EXPECT_THAT(pieces("a--b"), ElementsAre("a", "--", "b"));
}

TEST(Pretokenizer, ContractionsFoldCase) {
  EXPECT_THAT(pieces("IT'S we'LL"), ElementsAre("IT", "'S", " we", "'LL"));
  EXPECT_THAT(pieces("a'ſx"), ElementsAre("a", "'ſ", "x"));  // U+017F folds to s
}

TEST(Pretokenizer, DigitsStandAlone) {
  EXPECT_THAT(pieces("123 4"), ElementsAre("1", "2", "3", " ", "4"));
  EXPECT_THAT(pieces("½Ⅷ"), ElementsAre("½", "Ⅷ"));
}

TEST(Pretokenizer, WhiteSpace) {
  EXPECT_THAT(pieces("a   b"), ElementsAre("a", "  ", " b"));
  EXPECT_THAT(pieces("a  \n\n b"), ElementsAre("a", "  \n\n", " b"));
  EXPECT_THAT(pieces("!\n\nb"), ElementsAre("!\n\n", "b"));
  EXPECT_THAT(pieces("a   "), ElementsAre("a", "   "));
}

TEST(Pretokenizer, SpaceMeansUnicodeWhiteSpace) {
  EXPECT_THAT(pieces("\u3000\u3000a"), ElementsAre("\u3000", "\u3000a"));
  EXPECT_THAT(pieces("\u0085\u0085"), ElementsAre("\u0085\u0085"));
  // Neither the Mongolian vowel separator nor U+001C is white space here.
  EXPECT_THAT(pieces(" \u180e!"), ElementsAre(" \u180e!"));
  EXPECT_THAT(pieces(" \x1c!"), ElementsAre(" \x1c!"));
}

TEST(Pretokenizer, NullBytesAreText) {
  EXPECT_THAT(pieces(std::string("a\0b", 3)), ElementsAre("a", std::string("\0b", 2)));
}

// Runs that make a careless matcher backtrack over everything again and again.
TEST(Pretokenizer, HostileRunsTakeLinearTime) {
  constexpr size_t kLength = 1 << 21;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(pieces(std::string(kLength, ' ')).size(), 1U);
  EXPECT_EQ(pieces(std::string(kLength, ' ') + "x").size(), 2U);
  EXPECT_EQ(pieces(std::string(kLength, 'a')).size(), 1U);
  EXPECT_EQ(pieces(std::string(kLength, '!')).size(), 1U);
  EXPECT_EQ(pieces(std::string(kLength, '\n')).size(), 1U);
  EXPECT_EQ(pieces(std::string(kLength, '\'')).size(), 1U);
  EXPECT_EQ(pieces(std::string(kLength, '7')).size(), kLength);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace sinew::preprocess
