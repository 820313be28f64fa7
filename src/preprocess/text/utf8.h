// UTF-8 in and out: instructions and vocabulary files are checked here once, so that everything
// behind may decode without checking.
#pragma once

#include "sinew/result.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace sinew::preprocess {

// Texts beyond this are refused before any work: the tables that encoding builds are a small
// multiple of the text, so this also bounds memory.
inline constexpr size_t kMaxTextBytes = size_t{1} << 22;

// Length of the longest well-formed prefix: text.size() when all of it is. Overlong forms,
// surrogates and code points beyond U+10FFFF are not well-formed.
size_t valid_utf8_prefix(std::string_view text);

// kBadInput when `text` is longer than kMaxTextBytes or not UTF-8; `what` names it ("instruction").
Status check_text(std::string_view text, std::string_view what);

// The beginning of a text for an error message: not longer than a line, and UTF-8 even when the
// text is not.
std::string excerpt(std::string_view text);

// The code point at `offset`, which moves behind it. Precondition: valid UTF-8, offset at the start
// of a code point.
char32_t next_code_point(std::string_view text, size_t& offset);

// Precondition: a Unicode scalar value.
void append_utf8(char32_t code_point, std::string& out);

}  // namespace sinew::preprocess
