// The only file that sees PCRE2.
#include "preprocess/text/pretokenizer.h"

#include "base/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <utility>

namespace sinew::preprocess {

namespace {

// Unicode's White_Space, written out: PCRE2's own \s also takes U+180E, which the original's does
// not.
#define SINEW_SPACE \
  R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"

constexpr std::string_view kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^)" SINEW_SPACE R"(\p{L}\p{N}]+[\r\n]*|)"
    R"([)" SINEW_SPACE R"(]*[\r\n]+|)"
    R"([)" SINEW_SPACE R"(]+(?![^)" SINEW_SPACE R"(])|)"
    R"([)" SINEW_SPACE R"(]+)";

#undef SINEW_SPACE

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};

struct FreeMatch {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

std::string error_text(int code) {
  std::array<PCRE2_UCHAR, 128> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

struct Pretokenizer::Pattern {
  std::unique_ptr<pcre2_code, FreeCode> code;
};

Pretokenizer::Pretokenizer(std::unique_ptr<Pattern> pattern) : pattern_(std::move(pattern)) {}

Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;
Pretokenizer::~Pretokenizer() = default;

Result<Pretokenizer> Pretokenizer::create() {
  int code = 0;
  PCRE2_SIZE offset = 0;
  auto pattern = std::make_unique<Pattern>();
  // Anchored: each piece starts where the one before ended, since some alternative takes any
  // character.
  pattern->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern.data()), kPattern.size(),
                                    PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &offset,
                                    nullptr));
  if (pattern->code == nullptr) {
    return internal_error("the tokenizer's split pattern does not compile at offset {}: {}", offset,
                          error_text(code));
  }
  // Where there is no JIT the interpreter runs the same pattern, slower.
  static_cast<void>(pcre2_jit_compile(pattern->code.get(), PCRE2_JIT_COMPLETE));
  return Pretokenizer(std::move(pattern));
}

Result<std::vector<std::string_view>> Pretokenizer::split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (text.empty()) {
    return pieces;
  }
  const pcre2_code* code = pattern_->code.get();
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(
      pcre2_match_data_create_from_pattern(code, nullptr));
  if (match == nullptr) {
    return Status(Code::kOutOfMemory, "out of memory while splitting text into tokens");
  }
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
  size_t start = 0;
  while (start < text.size()) {
    // The text was validated once; without this flag each match would validate the rest again.
    const int found =
        pcre2_match(code, subject, text.size(), start, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (found < 1 || bounds[0] != start || bounds[1] <= start) {
      return internal_error("splitting text into tokens failed at byte {}: {}", start,
                            found < 1 ? error_text(found) : "a gap");
    }
    pieces.push_back(text.substr(start, bounds[1] - start));
    start = bounds[1];
  }
  return pieces;
}

}  // namespace sinew::preprocess
