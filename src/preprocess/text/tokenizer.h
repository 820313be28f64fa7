// The instruction: formalise, render the prompt, expand the image placeholders, byte-level BPE
// (spec/preprocessing.md section 4). Id for id what the original's tokenizer gives.
#pragma once

#include "sinew/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

// Limits on what a policy is told, far beyond the sentence that it was trained on: text pasted by
// mistake is refused before it costs anything. Tokens are those besides the images', the prompt's
// frame included.
inline constexpr size_t kMaxInstructionBytes = size_t{1} << 14;
inline constexpr int64_t kMaxTextTokens = 2048;

// kBadInput when `text` is longer than kMaxInstructionBytes or not UTF-8.
Status check_instruction(std::string_view text);

// Section 4.1. Input must be UTF-8.
Result<std::string> formalize(std::string_view text);

// Sections 4.2 and 4.3 before tokenising: the chat text with each <image-K> written out as
// "<image K><img>" + n copies of "<IMG_CONTEXT>" + "</img>". `image_tokens[k]` = n of image k+1.
// With formalisation off, text that itself holds a placeholder or <IMG_CONTEXT> is refused. So are
// images of no or of more than 4096 tokens (section 2 has none).
Result<std::string> render_prompt(std::string_view text, std::span<const int64_t> image_tokens);

struct TokenizerFiles {
  std::string_view vocab;   // vocab.json
  std::string_view merges;  // merges.txt
  std::optional<std::string_view>
      added_tokens;   // added_tokens.json {token: id}; absent: the table of 4.4
  std::string where;  // folder, for errors
};

// Thread-safe after construction: encode is const and keeps no state (its memory aside).
class Tokenizer {
 public:
  // Refuses vocabularies without all 256 byte symbols, merges that name unknown tokens, ids used
  // twice, negative or beyond 2^24, an added-token table without <IMG_CONTEXT>, <img>, </img>, the
  // pad token <|endoftext|> and the prompt's <|im_start|> and <|im_end|>.
  static Result<Tokenizer> load(const TokenizerFiles& files);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Section 4.4. Invalid UTF-8 is refused.
  Result<std::vector<int32_t>> encode(std::string_view text) const;

  // Bytes of the ids, for tests and inspection; unknown ids are refused.
  Result<std::string> decode(std::span<const int32_t> ids) const;

  int32_t image_token_id() const;  // <IMG_CONTEXT>
  int32_t pad_token_id() const;    // <|endoftext|>
  int64_t vocab_size() const;      // largest id + 1

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sinew::preprocess
