// Formalisation against the original's strings and, over all of Unicode, against Python 3.10.
#include "preprocess/text/prompt.h"
#include "preprocess/text/text_support.h"
#include "preprocess/text/utf8.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <initializer_list>

namespace sinew::preprocess {
namespace {

void hash_line(const Result<std::string>& line, uint64_t& hash) {
  ASSERT_TRUE(line.ok()) << line.status().message();
  for (const char byte : line.value() + "\n") {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  }
}

TEST(FormalizeGolden, RecordedStrings) {
  const io::Json cases = read_golden("preproc/language.json");
  ASSERT_EQ(cases.size(), 12U);
  for (const io::Json& entry : cases) {
    const Result<std::string> text = formalize(entry["text"].get<std::string>());
    ASSERT_TRUE(text.ok()) << text.status().message();
    EXPECT_EQ(text.value(), entry["formalized"].get<std::string>());
  }
}

// A character alone, in front of a sigma that it may or may not make final, and behind one.
TEST(FormalizeGolden, EveryCodePointAsPython) {
  const io::Json digests = read_golden("preproc/formalize_digest.json")["digests"];
  constexpr char32_t kBlock = 4096;
  ASSERT_EQ(digests.size() * kBlock, 0x110000U);
  for (char32_t block = 0; block < 0x110000; block += kBlock) {
    uint64_t hash = 0xcbf29ce484222325U;
    for (char32_t code_point = block; code_point < block + kBlock; ++code_point) {
      if (code_point >= 0xD800 && code_point <= 0xDFFF) {
        continue;
      }
      std::string character;
      append_utf8(code_point, character);
      for (const std::string& text : {character, "a" + character + "Σ", "aΣ" + character + "b"}) {
        hash_line(formalize(text), hash);
      }
    }
    EXPECT_EQ(fmt::format("{:016x}", hash), digests[block / kBlock].get<std::string>())
        << "code points from " << fmt::format("U+{:04X}", static_cast<uint32_t>(block));
  }
}

}  // namespace
}  // namespace sinew::preprocess
