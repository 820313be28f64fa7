// Text to ids: added tokens are cut out first, what lies between them is normalised, split and
// merged (spec/preprocessing.md section 4.4). The ids go to the batch that the model reads.
#include "preprocess/text/tokenizer.h"

#include "base/error.h"
#include "preprocess/text/nfc.h"
#include "preprocess/text/pretokenizer.h"
#include "preprocess/text/prompt.h"
#include "preprocess/text/utf8.h"
#include "preprocess/text/vocabulary.h"

#include <algorithm>
#include <utility>

namespace sinew::preprocess {

namespace {

// Finds the longest added token at a position, by its first byte.
class AddedTokens {
 public:
  explicit AddedTokens(std::vector<Token> tokens) {
    for (Token& token : tokens) {
      by_first_byte_[static_cast<unsigned char>(token.bytes.front())].push_back(std::move(token));
    }
    for (std::vector<Token>& bucket : by_first_byte_) {
      std::sort(bucket.begin(), bucket.end(),
                [](const Token& a, const Token& b) { return a.bytes.size() > b.bytes.size(); });
    }
  }

  // Null when none starts at `offset`.
  const Token* at(std::string_view text, size_t offset) const {
    for (const Token& token : by_first_byte_[static_cast<unsigned char>(text[offset])]) {
      if (text.compare(offset, token.bytes.size(), token.bytes) == 0) {
        return &token;
      }
    }
    return nullptr;
  }

 private:
  std::array<std::vector<Token>, 256> by_first_byte_;
};

}  // namespace

struct Tokenizer::Impl {
  Impl(Vocabulary vocabulary, Pretokenizer splitter)
      : tokens(std::move(vocabulary.tokens)),
        added(std::move(vocabulary.added)),
        byte_ids(vocabulary.byte_ids),
        merges(std::move(vocabulary.merges)),
        pretokenizer(std::move(splitter)) {}

  // Text without added tokens.
  Status encode_plain(std::string_view text, std::vector<int32_t>& ids) const {
    if (text.empty()) {
      return {};
    }
    SINEW_ASSIGN(const std::string normal, to_nfc(text));
    SINEW_ASSIGN(const std::vector<std::string_view> pieces, pretokenizer.split(normal));
    for (const std::string_view piece : pieces) {
      encode_piece(piece, byte_ids, merges, ids);
    }
    return {};
  }

  // Null when no token has the id.
  const Token* find(int32_t id) const {
    const auto found =
        std::lower_bound(tokens.begin(), tokens.end(), id,
                         [](const Token& token, int32_t value) { return token.id < value; });
    return found != tokens.end() && found->id == id ? &*found : nullptr;
  }

  std::vector<Token> tokens;  // by id
  AddedTokens added;
  std::array<int32_t, 256> byte_ids;
  MergeTable merges;
  Pretokenizer pretokenizer;
  int32_t image_token_id = 0;
  int32_t pad_token_id = 0;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::load(const TokenizerFiles& files) {
  SINEW_ASSIGN(Vocabulary vocabulary, parse_vocabulary(files));
  SINEW_ASSIGN(Pretokenizer pretokenizer, Pretokenizer::create());
  auto impl = std::make_unique<Impl>(std::move(vocabulary), std::move(pretokenizer));
  impl->image_token_id = impl->added.at(kImageContext, 0)->id;
  impl->pad_token_id = impl->added.at(kPadToken, 0)->id;
  return Tokenizer(std::move(impl));
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text) const {
  SINEW_TRY(check_text(text, "prompt"));
  std::vector<int32_t> ids;
  size_t plain_start = 0;
  size_t offset = 0;
  while (offset < text.size()) {
    const Token* token = impl_->added.at(text, offset);
    if (token == nullptr) {
      ++offset;
      continue;
    }
    SINEW_TRY(impl_->encode_plain(text.substr(plain_start, offset - plain_start), ids));
    ids.push_back(token->id);
    offset += token->bytes.size();
    plain_start = offset;
  }
  SINEW_TRY(impl_->encode_plain(text.substr(plain_start), ids));
  return ids;
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    const Token* token = impl_->find(id);
    if (token == nullptr) {
      return bad_input("id {}: expected an id of the vocabulary, of which the largest is {}", id,
                       vocab_size() - 1);
    }
    text += token->bytes;
  }
  return text;
}

int32_t Tokenizer::image_token_id() const {
  return impl_->image_token_id;
}

int32_t Tokenizer::pad_token_id() const {
  return impl_->pad_token_id;
}

int64_t Tokenizer::vocab_size() const {
  return int64_t{impl_->tokens.back().id} + 1;
}

}  // namespace sinew::preprocess
