// The instruction's first step: lower-case it and delete what is neither \w nor \s, as Python 3.10
// does (spec/preprocessing.md section 4.1). Its result goes to the prompt.
#include "preprocess/text/tokenizer.h"
#include "preprocess/text/unicode13.h"
#include "preprocess/text/utf8.h"

#include <utf8proc.h>

namespace sinew::preprocess {

namespace {

constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kSmallSigma = 0x3C3;
constexpr char32_t kFinalSigma = 0x3C2;

// True when the next character that is not case-ignorable exists and is cased.
bool cased_follows(std::string_view text, size_t offset) {
  while (offset < text.size()) {
    const char32_t code_point = next_code_point(text, offset);
    if (!is_case_ignorable(code_point)) {
      return is_cased(code_point);
    }
  }
  return false;
}

// The full lower-case mapping is this simple one but for sigma and U+0130, whose mapping is "i" and
// a combining dot: the dot is no \w, so the second step would delete it anyway.
char32_t lower(char32_t code_point) {
  if (code_point == 0x130) {
    return 'i';
  }
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point)));
}

}  // namespace

Result<std::string> formalize(std::string_view text) {
  SINEW_TRY(check_text(text, "instruction"));
  std::string out;
  out.reserve(text.size());
  bool cased_before = false;  // the last character that was not case-ignorable
  size_t offset = 0;
  while (offset < text.size()) {
    const char32_t code_point = next_code_point(text, offset);
    if (code_point == kCapitalSigma) {
      const bool is_final = cased_before && !cased_follows(text, offset);
      append_utf8(is_final ? kFinalSigma : kSmallSigma, out);
    } else if (is_alphanumeric(code_point)) {
      // Judged before lowering: a character and its lower case are alphanumeric together.
      append_utf8(lower(code_point), out);
    } else if (code_point == '_' || is_space(code_point)) {
      append_utf8(code_point, out);
    }
    if (!is_case_ignorable(code_point)) {
      cased_before = is_cased(code_point);
    }
  }
  return out;
}

}  // namespace sinew::preprocess
