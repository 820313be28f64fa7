#include "synth/tokenizer_files.h"

#include "base/check.h"
#include "io/json.h"
#include "preprocess/text/vocabulary.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

namespace sinew::synth {
namespace {

// Of the prompt's frame (spec/preprocessing.md section 4.2), as they stand there.
constexpr std::array<std::string_view, 8> kFrameWords{"system", "user",     "You",        " are",
                                                      " a",     " helpful", " assistant", "image"};

// Of instructions; with and without a blank in front.
constexpr std::array<std::string_view, 60> kInstructionWords{
    "a",    "and",    "arm",   "away",    "basket", "bin",   "block",  "blue",   "bottle",
    "bowl", "box",    "can",   "close",   "cube",   "cup",   "door",   "drawer", "find",
    "fold", "from",   "green", "grip",    "hand",   "hold",  "in",     "insert", "into",
    "it",   "left",   "lid",   "lift",    "move",   "next",  "object", "of",     "on",
    "open", "orange", "pan",   "pick",    "place",  "plate", "pour",   "press",  "pull",
    "push", "put",    "red",   "release", "right",  "shelf", "stack",  "table",  "the",
    "then", "to",     "towel", "turn",    "up",     "yellow"};

using Symbols = std::vector<std::string>;
using Pair = std::pair<std::string, std::string>;

Symbols symbols_of(std::string_view text) {
  Symbols symbols;
  for (const char c : text) {
    symbols.push_back(preprocess::byte_symbol(static_cast<uint8_t>(c)));
  }
  return symbols;
}

// The most frequent pair of neighbours, the first in order among equals; false when none is left.
bool find_best_pair(const std::vector<Symbols>& words, Pair& best) {
  std::map<Pair, int64_t> counts;
  for (const Symbols& word : words) {
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      ++counts[{word[i], word[i + 1]}];
    }
  }
  const auto found =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& x, const auto& y) { return x.second < y.second; });
  if (found == counts.end()) {
    return false;
  }
  best = found->first;
  return true;
}

void merge(const Pair& pair, Symbols& word) {
  Symbols merged;
  for (size_t i = 0; i < word.size(); ++i) {
    if (i + 1 < word.size() && word[i] == pair.first && word[i + 1] == pair.second) {
      merged.push_back(word[i] + word[i + 1]);
      ++i;
    } else {
      merged.push_back(word[i]);
    }
  }
  word = std::move(merged);
}

// Byte-pair training on the words until each is one token: encoding repeats the merges, so each
// word stays one.
std::vector<Pair> train_merges() {
  std::vector<Symbols> words;
  words.reserve(std::size(kFrameWords) + 2 * std::size(kInstructionWords));
  for (const std::string_view word : kFrameWords) {
    words.push_back(symbols_of(word));
  }
  for (const std::string_view word : kInstructionWords) {
    words.push_back(symbols_of(word));
    words.push_back(symbols_of(" " + std::string(word)));
  }
  std::vector<Pair> merges;
  for (Pair best; find_best_pair(words, best);) {
    for (Symbols& word : words) {
      merge(best, word);
    }
    merges.push_back(best);
  }
  return merges;
}

}  // namespace

TokenizerTexts make_tokenizer_texts(int64_t first_added_token) {
  io::Json vocab = io::Json::object();
  int64_t next_id = 0;
  for (int byte = 0; byte < 256; ++byte) {
    vocab[preprocess::byte_symbol(static_cast<uint8_t>(byte))] = next_id++;
  }
  std::string merges = "#version: 0.2\n";
  for (const auto& [left, right] : train_merges()) {
    merges.append(left).append(" ").append(right).append("\n");
    if (vocab.emplace(left + right, next_id).second) {
      ++next_id;
    }
  }
  SINEW_CHECK(next_id <= first_added_token);
  io::Json added = io::Json::object();
  int64_t added_id = first_added_token;
  for (const std::string_view token : preprocess::default_added_tokens()) {
    added[std::string(token)] = added_id++;
  }
  return {vocab.dump(), std::move(merges), added.dump(2)};
}

}  // namespace sinew::synth
