// The tokenizer's files, parsed and checked: nothing behind this needs to doubt them.
#pragma once

#include "preprocess/text/bpe.h"
#include "preprocess/text/tokenizer.h"

#include "sinew/result.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

struct Token {
  int32_t id;
  std::string bytes;  // what it stands for in the text
};

struct Vocabulary {
  std::vector<Token> tokens;          // of vocab.json and the added ones, by id, no id twice
  std::vector<Token> added;           // matched in the text before anything else
  std::array<int32_t, 256> byte_ids;  // the token of each single byte
  MergeTable merges;
};

// How vocab.json and merges.txt write one byte.
std::string byte_symbol(uint8_t byte);

// The tokens beyond vocab.json of a folder without added_tokens.json, at consecutive ids.
inline constexpr int32_t kFirstDefaultAdded = 151643;
std::span<const std::string_view> default_added_tokens();

// Refuses what Tokenizer::load says. Errors name the file below `files.where`.
Result<Vocabulary> parse_vocabulary(const TokenizerFiles& files);

}  // namespace sinew::preprocess
