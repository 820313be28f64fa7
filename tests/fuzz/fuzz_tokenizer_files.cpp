// Tokenizer files from hostile bytes: vocab.json, merges.txt and, where there is a third part,
// added_tokens.json, separated by NUL. Whatever loads encodes a prompt to ids that it knows.
#include "base/check.h"
#include "preprocess/text/tokenizer.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

// Cuts the part before the next NUL off `rest`; none when nothing is left.
std::optional<std::string_view> next_part(std::optional<std::string_view>& rest) {
  if (!rest.has_value()) {
    return std::nullopt;
  }
  const size_t end = rest->find('\0');
  const std::string_view part = rest->substr(0, end);
  rest = end == std::string_view::npos ? std::nullopt : std::optional(rest->substr(end + 1));
  return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sinew::preprocess::Tokenizer;
  std::optional<std::string_view> rest(std::string_view(reinterpret_cast<const char*>(data), size));
  sinew::preprocess::TokenizerFiles files;
  files.vocab = next_part(rest).value_or("");
  files.merges = next_part(rest).value_or("");
  files.added_tokens = next_part(rest);
  files.where = "fuzz";
  const auto tokenizer = Tokenizer::load(files);
  if (!tokenizer.ok()) {
    SINEW_CHECK(!tokenizer.status().message().empty());
    return 0;
  }
  constexpr std::array<int64_t, 2> kImages = {3, 1};
  const auto prompt = sinew::preprocess::render_prompt("aaab naïve_12  x", kImages);
  SINEW_CHECK(prompt.ok());
  const auto ids = tokenizer.value().encode(prompt.value());
  SINEW_CHECK(ids.ok());
  for (const int32_t id : ids.value()) {
    SINEW_CHECK(id >= 0 && id < tokenizer.value().vocab_size());
  }
  SINEW_CHECK(tokenizer.value().decode(ids.value()).ok());
  return 0;
}
