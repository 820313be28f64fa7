// The formalised instruction and the number of tokens of each image become the text that the
// tokenizer reads (spec/preprocessing.md sections 4.2 and 4.3).
#include "preprocess/text/prompt.h"

#include "base/error.h"
#include "preprocess/text/tokenizer.h"
#include "preprocess/text/utf8.h"

#include <utf8proc.h>

#include <iterator>

namespace sinew::preprocess {

namespace {

constexpr std::string_view kBeforeText =
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n";
constexpr std::string_view kAfterImages = "<|im_end|>\n";

// An image has at most this many tokens (section 2), and all images of a prompt this many bytes.
constexpr int64_t kMaxImageTokens = 4096;
constexpr size_t kMaxImageBytes = kMaxTextBytes / 2;

// Length of the placeholder <(image|video)-(\d+)> at the start of `text`, or 0. \d is any decimal
// digit of Unicode, as in the original's pattern.
size_t placeholder_length(std::string_view text) {
  if (!text.starts_with("<image-") && !text.starts_with("<video-")) {
    return 0;
  }
  constexpr size_t kDigits = std::string_view("<image-").size();
  size_t offset = kDigits;
  while (offset < text.size()) {
    const size_t start = offset;
    const char32_t code_point = next_code_point(text, offset);
    if (code_point == '>') {
      return start > kDigits ? offset : 0;
    }
    if (utf8proc_category(static_cast<utf8proc_int32_t>(code_point)) != UTF8PROC_CATEGORY_ND) {
      return 0;
    }
  }
  return 0;
}

// Only text that was not formalised can hold any of these. They would be counted as images that
// nobody sent.
Status refuse_image_markers(std::string_view text) {
  for (size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    const std::string_view rest = text.substr(at);
    const size_t length =
        rest.starts_with(kImageContext) ? kImageContext.size() : placeholder_length(rest);
    if (length != 0) {
      return bad_input(
          "instruction: \"{}\" at byte {} is reserved for images; remove it, or let the "
          "instruction be formalised",
          excerpt(rest.substr(0, length)), at);
    }
  }
  return {};
}

// "<image K><img>" + n context tokens + "</img>".
void append_image(size_t number, int64_t tokens, std::string& out) {
  fmt::format_to(std::back_inserter(out), "<image {}>{}", number, kImageStart);
  for (int64_t i = 0; i < tokens; ++i) {
    out += kImageContext;
  }
  out += kImageEnd;
}

}  // namespace

std::string render_chat(std::string_view text, std::string_view images) {
  std::string chat;
  chat.reserve(kBeforeText.size() + text.size() + images.size() + kAfterImages.size());
  chat += kBeforeText;
  chat += text;
  chat += images;
  chat += kAfterImages;
  return chat;
}

Status check_instruction(std::string_view text) {
  if (text.size() > kMaxInstructionBytes) {
    return bad_input(
        "instruction: expected at most {} bytes, found {}: say in a sentence what the robot is to "
        "do",
        kMaxInstructionBytes, text.size());
  }
  return check_text(text, "instruction");
}

Result<std::string> render_prompt(std::string_view text, std::span<const int64_t> image_tokens) {
  SINEW_TRY(check_text(text, "instruction"));
  SINEW_TRY(refuse_image_markers(text));
  std::string images;
  for (size_t k = 0; k < image_tokens.size(); ++k) {
    const int64_t tokens = image_tokens[k];
    if (tokens < 1 || tokens > kMaxImageTokens) {
      return bad_input("image {}: expected 1 to {} tokens, found {}", k + 1, kMaxImageTokens,
                       tokens);
    }
    append_image(k + 1, tokens, images);
    if (images.size() > kMaxImageBytes) {
      return bad_input("prompt: expected at most {} bytes of image tokens, exceeded by image {}",
                       kMaxImageBytes, k + 1);
    }
  }
  return render_chat(text, images);
}

}  // namespace sinew::preprocess
