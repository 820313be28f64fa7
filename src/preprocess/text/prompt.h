// The chat turn around an instruction, shared by render_prompt and the tests that look at it before
// the image placeholders are expanded.
#pragma once

#include <string>
#include <string_view>

namespace sinew::preprocess {

inline constexpr std::string_view kImageContext = "<IMG_CONTEXT>";
inline constexpr std::string_view kImageStart = "<img>";
inline constexpr std::string_view kImageEnd = "</img>";
inline constexpr std::string_view kPadToken = "<|endoftext|>";

// spec/preprocessing.md section 4.2: system turn, then one user turn of `text` and `images`.
std::string render_chat(std::string_view text, std::string_view images);

}  // namespace sinew::preprocess
