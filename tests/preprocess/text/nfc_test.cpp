// Normalisation form C as the original's tokenizer has it, that is of Unicode 9.
#include "preprocess/text/nfc.h"

#include <gtest/gtest.h>

namespace sinew::preprocess {
namespace {

std::string nfc(std::string_view text) {
  Result<std::string> normal = to_nfc(text);
  EXPECT_TRUE(normal.ok()) << normal.status().message();
  return normal.ok() ? normal.value() : "";
}

TEST(Nfc, ComposesAndKeepsTheRest) {
  EXPECT_EQ(nfc(""), "");
  EXPECT_EQ(nfc("plain ascii"), "plain ascii");
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("\u212b \u2126"), "\u00c5 \u03a9");  // signs that are letters
  EXPECT_EQ(nfc("\uf900"), "\u8c48");
  EXPECT_EQ(nfc("\ufb01\u00b2"), "\ufb01\u00b2");  // compatibility forms stay
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");        // excluded from composition
}

TEST(Nfc, OrdersMarksByClassAndKeepsEquals) {
  EXPECT_EQ(nfc("a\u0301\u0323"), "\u1ea1\u0301");
  EXPECT_EQ(nfc("x\u0315\u0300\u0301\u0323"), "x\u0323\u0300\u0301\u0315");
  EXPECT_EQ(nfc("\u0301\u0323"), "\u0323\u0301");  // without a letter
}

TEST(Nfc, Hangul) {
  EXPECT_EQ(nfc("\u1100\u1161"), "\uac00");
  EXPECT_EQ(nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(nfc("\uac00\u11c2"), "\uac1b");
  // The code point below the trailing consonants is none of them.
  EXPECT_EQ(nfc("\uac00\u11a7"), "\uac00\u11a7");
  EXPECT_EQ(nfc("\uac00\u11a7\u11a8"), "\uac00\u11a7\u11a8");
}

TEST(Nfc, MarksNewerThanUnicode9StayInPlace) {
  EXPECT_EQ(nfc("a\u0301\u0d3b\u0323"), "\u00e1\u0d3b\u0323");     // U+0D3B is of Unicode 10
  EXPECT_EQ(nfc("\U00011935\U00011930"), "\U00011935\U00011930");  // would compose since 13
}

}  // namespace
}  // namespace sinew::preprocess
