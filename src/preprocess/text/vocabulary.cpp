// vocab.json, merges.txt and added_tokens.json (spec/preprocessing.md section 4.4).
#include "preprocess/text/vocabulary.h"

#include "base/error.h"
#include "io/json.h"
#include "preprocess/text/prompt.h"
#include "preprocess/text/utf8.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sinew::preprocess {

namespace {

constexpr int32_t kMaxId = 1 << 24;

// Each position of a text is compared with these, so a file cannot make that arbitrarily slow.
constexpr size_t kMaxAddedTokens = 1024;
constexpr size_t kMaxAddedBytes = 256;

// GPT-2's alphabet: the code point that writes a byte in vocab.json and merges.txt. Bytes that
// print stand for themselves, the others follow from U+0100 on in increasing order.
constexpr size_t kAlphabetEnd = 0x144;

constexpr bool prints(unsigned int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr std::array<char32_t, 256> make_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 0x100;
  for (unsigned int byte = 0; byte < 256; ++byte) {
    alphabet[byte] = prints(byte) ? byte : next++;
  }
  return alphabet;
}

constexpr std::array<char32_t, 256> kAlphabet = make_alphabet();

// The byte of each code point below kAlphabetEnd, or -1.
constexpr std::array<int, kAlphabetEnd> make_inverse_alphabet() {
  std::array<int, kAlphabetEnd> inverse{};
  inverse.fill(-1);
  for (int byte = 0; byte < 256; ++byte) {
    inverse[kAlphabet[static_cast<size_t>(byte)]] = byte;
  }
  return inverse;
}

constexpr std::array<int, kAlphabetEnd> kInverseAlphabet = make_inverse_alphabet();

// The Qwen2 tokens.
constexpr std::array<std::string_view, 37> kDefaultAdded = {"<|endoftext|>",
                                                            "<|im_start|>",
                                                            "<|im_end|>",
                                                            "<|object_ref_start|>",
                                                            "<|object_ref_end|>",
                                                            "<|box_start|>",
                                                            "<|box_end|>",
                                                            "<|quad_start|>",
                                                            "<|quad_end|>",
                                                            "<|vision_start|>",
                                                            "<|vision_end|>",
                                                            "<|vision_pad|>",
                                                            "<|image_pad|>",
                                                            "<|video_pad|>",
                                                            "<tool_call>",
                                                            "</tool_call>",
                                                            "<|fim_prefix|>",
                                                            "<|fim_middle|>",
                                                            "<|fim_suffix|>",
                                                            "<|fim_pad|>",
                                                            "<|repo_name|>",
                                                            "<|file_sep|>",
                                                            "<tool_response>",
                                                            "</tool_response>",
                                                            "<think>",
                                                            "</think>",
                                                            kImageContext,
                                                            kImageStart,
                                                            kImageEnd,
                                                            "<box>",
                                                            "</box>",
                                                            "<quad>",
                                                            "</quad>",
                                                            "<ref>",
                                                            "</ref>",
                                                            "<interval>",
                                                            "</interval>"};

constexpr std::array<std::string_view, 6> kRequiredAdded = {
    kImageContext, kImageStart, kImageEnd, kPadToken, "<|im_start|>", "<|im_end|>"};

// Token text, as the file writes it, to id. The views point into the parsed JSON.
using SymbolIds = std::unordered_map<std::string_view, int32_t>;

using JsonMembers = io::Json::object_t;

Result<io::Json> parse_token_ids(std::string_view text, const std::string& where) {
  SINEW_ASSIGN(io::Json json, io::parse_json(text, where));
  if (!json.is_object()) {
    return bad_input("{}: expected an object of token: id, found {}", where, json.type_name());
  }
  for (const auto& [symbol, id] : json.get_ref<const JsonMembers&>()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > uint64_t{kMaxId}) {
      return bad_input("{}: token \"{}\": expected an id from 0 to {}, found {}", where,
                       excerpt(symbol), kMaxId, id.is_number() ? id.dump() : id.type_name());
    }
  }
  return json;
}

// Characters outside the alphabet stand for their own UTF-8.
std::string symbol_bytes(std::string_view symbol) {
  std::string bytes;
  bytes.reserve(symbol.size());
  size_t offset = 0;
  while (offset < symbol.size()) {
    const char32_t code_point = next_code_point(symbol, offset);
    const int byte = code_point < kAlphabetEnd ? kInverseAlphabet[code_point] : -1;
    if (byte >= 0) {
      bytes.push_back(static_cast<char>(byte));
    } else {
      append_utf8(code_point, bytes);
    }
  }
  return bytes;
}

Status find_byte_ids(const SymbolIds& ids, const std::string& where,
                     std::array<int32_t, 256>& byte_ids) {
  for (size_t byte = 0; byte < byte_ids.size(); ++byte) {
    const std::string symbol = byte_symbol(static_cast<uint8_t>(byte));
    const auto found = ids.find(symbol);
    if (found == ids.end()) {
      return bad_input(
          "{}: expected a token for each of the 256 bytes, found none for byte "
          "0x{:02x} (\"{}\")",
          where, byte, symbol);
    }
    byte_ids[byte] = found->second;
  }
  return {};
}

Result<int32_t> find_symbol(const SymbolIds& ids, std::string_view symbol, const std::string& where,
                            size_t line) {
  const auto found = ids.find(symbol);
  if (found == ids.end()) {
    return bad_input("{}: line {}: token \"{}\" is not in vocab.json", where, line,
                     excerpt(symbol));
  }
  return found->second;
}

Status add_merge(std::string_view text, const SymbolIds& ids, const std::string& where, size_t line,
                 MergeTable& merges, int32_t rank) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == text.size() ||
      text.find(' ', space + 1) != std::string_view::npos) {
    return bad_input("{}: line {}: expected two tokens with a space between, found \"{}\"", where,
                     line, excerpt(text));
  }
  std::string joined(text);
  joined.erase(space, 1);
  SINEW_ASSIGN(const int32_t left, find_symbol(ids, text.substr(0, space), where, line));
  SINEW_ASSIGN(const int32_t right, find_symbol(ids, text.substr(space + 1), where, line));
  SINEW_ASSIGN(const int32_t merged, find_symbol(ids, joined, where, line));
  merges.add(left, right, {rank, merged});
  return {};
}

// Ranks count the merges: neither the version line nor empty ones.
Result<MergeTable> parse_merges(std::string_view text, const SymbolIds& ids,
                                const std::string& where) {
  MergeTable merges;
  int32_t rank = 0;
  size_t line = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view content = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++line;
    if (content.ends_with('\r')) {
      content.remove_suffix(1);
    }
    if (content.empty() || (line == 1 && content.starts_with("#version:"))) {
      continue;
    }
    SINEW_TRY(add_merge(content, ids, where, line, merges, rank));
    ++rank;
  }
  return merges;
}

Result<std::vector<Token>> parse_added(const std::optional<std::string_view>& text,
                                       const std::string& where) {
  std::vector<Token> added;
  if (!text.has_value()) {
    for (size_t i = 0; i < kDefaultAdded.size(); ++i) {
      added.push_back(
          {kFirstDefaultAdded + static_cast<int32_t>(i), std::string(kDefaultAdded[i])});
    }
    return added;
  }
  SINEW_ASSIGN(const io::Json json, parse_token_ids(*text, where));
  if (json.size() > kMaxAddedTokens) {
    return bad_input("{}: expected at most {} tokens, found {}", where, kMaxAddedTokens,
                     json.size());
  }
  for (const auto& [token, id] : json.get_ref<const JsonMembers&>()) {
    if (token.empty() || token.size() > kMaxAddedBytes) {
      return bad_input("{}: expected tokens of 1 to {} bytes, found one of {} (id {})", where,
                       kMaxAddedBytes, token.size(), id.dump());
    }
    added.push_back({id.get<int32_t>(), token});
  }
  for (const std::string_view required : kRequiredAdded) {
    if (!json.contains(required)) {
      return bad_input("{}: token \"{}\" is missing; the prompt needs it", where, required);
    }
  }
  return added;
}

// Of all tokens, by id. An added token may be listed in vocab.json too, under the same id.
Result<std::vector<Token>> all_tokens(const SymbolIds& ids, const std::vector<Token>& added,
                                      const std::string& where) {
  std::vector<std::pair<int32_t, std::string_view>> order;
  order.reserve(ids.size() + added.size());
  for (const auto& [symbol, id] : ids) {
    order.emplace_back(id, symbol);
  }
  for (const Token& token : added) {
    const auto in_vocab = ids.find(token.bytes);
    if (in_vocab == ids.end()) {
      order.emplace_back(token.id, token.bytes);
    } else if (in_vocab->second != token.id) {
      return bad_input("{}: token \"{}\" is {} in vocab.json and {} among the added tokens", where,
                       token.bytes, in_vocab->second, token.id);
    }
  }
  std::sort(order.begin(), order.end());
  const auto same_id = [](const auto& a, const auto& b) { return a.first == b.first; };
  const auto twice = std::adjacent_find(order.begin(), order.end(), same_id);
  if (twice != order.end()) {
    return bad_input("{}: id {} is given to two tokens, \"{}\" and \"{}\"", where, twice->first,
                     excerpt(twice->second), excerpt(std::next(twice)->second));
  }
  std::vector<Token> tokens;
  tokens.reserve(order.size());
  for (const auto& [id, symbol] : order) {
    tokens.push_back({id, symbol_bytes(symbol)});
  }
  for (const Token& token : added) {
    const auto at = std::lower_bound(tokens.begin(), tokens.end(), token.id,
                                     [](const Token& a, int32_t id) { return a.id < id; });
    at->bytes = token.bytes;
  }
  return tokens;
}

}  // namespace

std::string byte_symbol(uint8_t byte) {
  std::string symbol;
  append_utf8(kAlphabet[byte], symbol);
  return symbol;
}

std::span<const std::string_view> default_added_tokens() {
  return kDefaultAdded;
}

Result<Vocabulary> parse_vocabulary(const TokenizerFiles& files) {
  const std::string vocab_path = files.where + "/vocab.json";
  SINEW_ASSIGN(const io::Json vocab, parse_token_ids(files.vocab, vocab_path));
  SymbolIds ids;
  ids.reserve(vocab.size());
  for (const auto& [symbol, id] : vocab.get_ref<const JsonMembers&>()) {
    ids.emplace(symbol, id.get<int32_t>());
  }
  Vocabulary result{};
  SINEW_TRY(find_byte_ids(ids, vocab_path, result.byte_ids));
  SINEW_ASSIGN(result.merges, parse_merges(files.merges, ids, files.where + "/merges.txt"));
  SINEW_ASSIGN(result.added, parse_added(files.added_tokens, files.where + "/added_tokens.json"));
  SINEW_ASSIGN(result.tokens, all_tokens(ids, result.added, files.where));
  return result;
}

}  // namespace sinew::preprocess
