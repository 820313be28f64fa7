#include "preprocess/text/tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sinew::preprocess {
namespace {

std::string formalized(std::string_view text) {
  Result<std::string> result = formalize(text);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? result.value() : "";
}

TEST(Formalize, SpecExample) {
  EXPECT_EQ(formalized("Don't pick-up 3 CUBES, s'il vous plaît! <image-1> ÀÉ İ"),
            "dont pickup 3 cubes sil vous plaît image1 àé i");
}

TEST(Formalize, KeepsWhiteSpaceAndUnderscores) {
  EXPECT_EQ(formalized("  a_b\t\n -  c "), "  a_b\t\n   c ");
  EXPECT_EQ(formalized("\x1c\x1f\u0085\u00a0\u3000"), "\x1c\x1f\u0085\u00a0\u3000");
  EXPECT_EQ(formalized("\x1b\u180e\u200b\ufeff"), "");
}

TEST(Formalize, FinalSigma) {
  EXPECT_EQ(formalized("ΟΔΟΣ ΣΟΦΟΣ"), "οδος σοφος");
  EXPECT_EQ(formalized("Σ"), "σ");       // nothing before it
  EXPECT_EQ(formalized("ΑΣ1"), "ας1");   // a digit ends the word
  EXPECT_EQ(formalized("ΑΣ'Α"), "ασα");  // the apostrophe does not
  EXPECT_EQ(formalized("Α'Σ"), "ας");    // nor before
  EXPECT_EQ(formalized("1Σ"), "1σ");
}

TEST(Formalize, MarksVanishNumbersStay) {
  EXPECT_EQ(formalized("cafe\u0301"), "cafe");
  EXPECT_EQ(formalized("①½²Ⅷ"), "①½²ⅷ");
  EXPECT_EQ(formalized("हिन्दी"), "हनद");
  EXPECT_EQ(formalized("Ⓐ🤖"), "");  // a letter in a circle is a symbol
}

TEST(Formalize, LettersNewerThanUnicode13AreUnknown) {
  EXPECT_EQ(formalized("a\U00010570b"), "ab");  // Vithkuqi, Unicode 14
  EXPECT_EQ(formalized("\u2c2f"), "");          // Unicode 14
  EXPECT_EQ(formalized("\U00031350"), "");      // CJK extension H, Unicode 15
  EXPECT_EQ(formalized("\U0003134a"), "\U0003134a");
}

TEST(Formalize, RefusesBytesThatAreNotUtf8) {
  EXPECT_EQ(formalize("pick \xff").status().code(), Code::kBadInput);
  EXPECT_EQ(formalize("\xed\xa0\x80").status().code(), Code::kBadInput);
}

TEST(Formalize, LongRunsOfSigmaAndMarks) {
  std::string text;
  for (int i = 0; i < 200000; ++i) {
    text += "Σ'";
  }
  // Each sigma is followed by a cased character but the last.
  const std::string result = formalized(text);
  EXPECT_EQ(result.size(), 400000U);
  EXPECT_TRUE(result.ends_with("σς"));
}

}  // namespace
}  // namespace sinew::preprocess
