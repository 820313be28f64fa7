// A byte-level vocabulary of our own: every byte, the words of the prompt's frame, and common words
// of robot instructions as single tokens, so that prompts are as long as with the real one.
#pragma once

#include <cstdint>
#include <string>

namespace sinew::synth {

struct TokenizerTexts {
  std::string vocab;   // vocab.json
  std::string merges;  // merges.txt
  std::string added;   // added_tokens.json
};

// Precondition: fewer words than `first_added_token` has room for (a check).
TokenizerTexts make_tokenizer_texts(int64_t first_added_token);

}  // namespace sinew::synth
