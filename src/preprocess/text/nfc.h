// Unicode normalisation form C, which the tokenizer applies to everything between added tokens
// (spec/preprocessing.md section 4.4).
#pragma once

#include "sinew/result.h"

#include <string>
#include <string_view>

namespace sinew::preprocess {

// Precondition: valid UTF-8 of at most kMaxTextBytes. Time is n log n at worst. Fails only where
// the Unicode library does (kInternal).
Result<std::string> to_nfc(std::string_view text);

}  // namespace sinew::preprocess
