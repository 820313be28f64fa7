// Instructions from hostile bytes: text is refused exactly when it is no UTF-8, formalising twice
// is formalising once, a formalised instruction always makes a prompt, and ids give the text back.
#include "base/check.h"
#include "preprocess/text/nfc.h"
#include "preprocess/text/text_support.h"
#include "preprocess/text/tokenizer.h"
#include "preprocess/text/utf8.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using sinew::preprocess::Tokenizer;

void check_round_trip(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text);
  SINEW_CHECK(ids.ok());
  const auto back = tokenizer.decode(ids.value());
  SINEW_CHECK(back.ok());
  // Added tokens, all of which begin so, also end what is normalised together.
  if (text.find('<') == std::string_view::npos) {
    SINEW_CHECK(back.value() == sinew::preprocess::to_nfc(text).value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokenizer = sinew::preprocess::TinyFiles().load();
  SINEW_CHECK(tokenizer.ok());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool is_utf8 = sinew::preprocess::valid_utf8_prefix(text) == text.size();
  const auto formal = sinew::preprocess::formalize(text);
  SINEW_CHECK(formal.ok() == is_utf8);
  SINEW_CHECK(tokenizer.value().encode(text).ok() == is_utf8);
  if (!is_utf8) {
    return 0;
  }
  SINEW_CHECK(sinew::preprocess::formalize(formal.value()).value() == formal.value());
  constexpr std::array<int64_t, 1> kImages = {2};
  const auto prompt = sinew::preprocess::render_prompt(formal.value(), kImages);
  SINEW_CHECK(prompt.ok());
  check_round_trip(tokenizer.value(), prompt.value());
  check_round_trip(tokenizer.value(), text);
  // Text that was not formalised makes a prompt or is refused; it may not do anything else.
  static_cast<void>(sinew::preprocess::render_prompt(text, kImages));
  return 0;
}
