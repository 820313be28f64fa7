#include "preprocess/text/utf8.h"

#include <gtest/gtest.h>

namespace sinew::preprocess {
namespace {

TEST(Utf8, RoundTripsEveryScalarValue) {
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point >= 0xD800 && code_point <= 0xDFFF) {
      continue;
    }
    std::string text;
    append_utf8(code_point, text);
    ASSERT_EQ(valid_utf8_prefix(text), text.size()) << static_cast<uint32_t>(code_point);
    size_t offset = 0;
    ASSERT_EQ(next_code_point(text, offset), code_point);
    ASSERT_EQ(offset, text.size());
  }
}

TEST(Utf8, StopsAtIllFormedBytes) {
  const std::string_view bad[] = {
      "\x80",              // continuation without a lead
      "\xc0\xaf",          // overlong
      "\xc1\xbf",          // overlong
      "\xe0\x9f\xbf",      // overlong
      "\xf0\x8f\xbf\xbf",  // overlong
      "\xed\xa0\x80",      // surrogate
      "\xf4\x90\x80\x80",  // beyond U+10FFFF
      "\xf5\x80\x80\x80",
      "\xff",
      "\xc3",
      "\xe2\x82",
      "\xf0\x9f\x98",
      "\xc3(",
      "\xe2\x82(",
  };
  for (const std::string_view bytes : bad) {
    const std::string text = "ok\xc3\xa9" + std::string(bytes);
    EXPECT_EQ(valid_utf8_prefix(text), 4U) << testing::PrintToString(text);
  }
}

TEST(Utf8, ChecksTextAndNamesTheByte) {
  EXPECT_TRUE(check_text("caf\xc3\xa9", "instruction").ok());
  EXPECT_TRUE(check_text(std::string_view("\0a", 2), "instruction").ok());
  const Status bad = check_text("ab\xffz", "instruction");
  EXPECT_EQ(bad.code(), Code::kBadInput);
  EXPECT_EQ(bad.message(), "instruction: expected UTF-8, found byte 0xff at offset 2");
  EXPECT_TRUE(check_text(std::string(kMaxTextBytes, 'a'), "instruction").ok());
  EXPECT_EQ(check_text(std::string(kMaxTextBytes + 1, 'a'), "instruction").code(), Code::kBadInput);
}

TEST(Utf8, ExcerptIsShortAndValid) {
  EXPECT_EQ(excerpt("abc"), "abc");
  EXPECT_EQ(excerpt("ab\xff"), "ab...");
  const std::string cut = excerpt(std::string(59, 'a') + "\xc3\xa9\xc3\xa9");
  EXPECT_EQ(cut, std::string(59, 'a') + "...");
}

}  // namespace
}  // namespace sinew::preprocess
