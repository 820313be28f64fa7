#include "io/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace sinew::io {
namespace {

TEST(Utf8, WritesEveryCodePointWellFormed) {
  size_t wrong = 0;
  for (uint32_t code = 0; code < 0x110000; ++code) {
    std::string text;
    const bool scalar = code < 0xd800 || code >= 0xe000;
    wrong += append_utf8(code, text) == scalar && is_utf8(text) && text.empty() != scalar ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0U);
  std::string text;
  EXPECT_FALSE(append_utf8(0x110000, text));
  EXPECT_TRUE(append_utf8(0x1f9be, text));
  EXPECT_EQ(text, "\xf0\x9f\xa6\xbe");
}

TEST(Utf8, RefusesIllFormedBytes) {
  for (const char* text :
       {"\x80", "a\xff", "\xc3", "\xc3x", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xf0\x9f\xa6"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
  EXPECT_TRUE(is_utf8(""));
}

}  // namespace
}  // namespace sinew::io
