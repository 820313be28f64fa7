// What the text tests share: recorded cases, the nano tokenizer, and a vocabulary small enough to
// reason about.
#pragma once

#include "io/json.h"
#include "preprocess/text/tokenizer.h"
#include "preprocess/text/vocabulary.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

// Aborts the test program when a file of the repository is missing: no test can run then.
io::Json read_golden(const std::string& path);
std::string read_text(const std::string& path);

// Loads DIR/vocab.json, merges.txt and, where it exists, added_tokens.json.
Result<Tokenizer> load_tokenizer(const std::string& folder);
Tokenizer load_nano_tokenizer();

// The text of three tokenizer files, to be spoilt by tests. Bytes have the ids 0 to 255 in
// increasing order, then come "ab" 256, "abc" 257, "bc" 258, "Ġa" 259, "aa" 260 and "aaaa" 261; the
// merges are "a b", "ab c", "b c", "Ġ a", "a a", "aa aa". Added: <|endoftext|> 300, <|im_start|>
// 301, <|im_end|> 302, <IMG_CONTEXT> 303, <img> 304, </img> 305, <img>x 306.
struct TinyFiles {
  TinyFiles();
  Result<Tokenizer> load() const;

  io::Json vocab;
  std::string merges;
  std::optional<io::Json> added;
};

std::vector<int32_t> ids_of(const io::Json& array);

}  // namespace sinew::preprocess
