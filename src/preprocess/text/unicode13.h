// Character classes as Python 3.10 (Unicode 13) has them, whatever Unicode version the system's
// libraries know: an instruction must lose the same characters on every machine.
#pragma once

namespace sinew::preprocess {

// str.isalnum of one character.
bool is_alphanumeric(char32_t code_point);

// str.isspace of one character; unlike Unicode's White_Space it holds U+001C to U+001F.
bool is_space(char32_t code_point);

// The two properties behind the final-sigma rule.
bool is_cased(char32_t code_point);
bool is_case_ignorable(char32_t code_point);

}  // namespace sinew::preprocess
