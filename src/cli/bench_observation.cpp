#include "cli/bench_observation.h"

#include "base/error.h"
#include "base/philox.h"
#include "preprocess/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace sinew::cli {
namespace {

constexpr int64_t kMaxSide = 16384;

// A stream of random words.
class Words {
 public:
  explicit Words(uint64_t seed)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {}

  uint32_t next() {
    if (at_ == words_.size()) {
      words_ = philox4x32(
          {static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32), 0, kStream}, key_);
      ++block_;
      at_ = 0;
    }
    return words_[at_++];
  }

 private:
  static constexpr uint32_t kStream = 0x62656e63;  // apart from the noise of the same seed

  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> words_{};
  uint64_t block_ = 0;
  size_t at_ = 4;
};

std::optional<int64_t> parse_side(std::string_view text) {
  int64_t side = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), side);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || side < 1 ||
      side > kMaxSide) {
    return std::nullopt;
  }
  return side;
}

std::string repeated(std::string_view word, int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    text += (i == 0 ? "" : " ") + std::string(word);
  }
  return text;
}

}  // namespace

Result<FrameSize> parse_frame_size(std::string_view text) {
  const size_t cross = text.find('x');
  if (cross != std::string_view::npos) {
    const auto height = parse_side(text.substr(0, cross));
    const auto width = parse_side(text.substr(cross + 1));
    if (height && width) {
      return FrameSize{*height, *width};
    }
  }
  return usage_error("--image-size: expected HEIGHTxWIDTH, each from 1 to {}, found \"{}\"",
                     kMaxSide, text);
}

RandomObservation::RandomObservation(const PolicyInfo& info, FrameSize size, uint64_t seed) {
  Words words(seed);
  for (const std::string& camera : info.cameras) {
    std::vector<Frame>& frames = frames_.emplace_back();
    for (size_t t = 0; t < info.video_deltas.size(); ++t) {
      std::vector<uint8_t>& pixels =
          pixels_.emplace_back(static_cast<size_t>(size.height * size.width * 3));
      for (uint8_t& value : pixels) {
        value = static_cast<uint8_t>(words.next());
      }
      frames.push_back({pixels.data(), size.height, size.width});
    }
    cameras_.push_back({camera, frames});
  }
  for (const GroupShape& group : info.state) {
    std::vector<float>& values =
        values_.emplace_back(static_cast<size_t>(group.steps * group.dims));
    for (float& value : values) {
      value = static_cast<float>(words.next()) * 0x1p-31F - 1.0F;
    }
    states_.push_back({group.key, values, group.steps, group.dims});
  }
}

Status set_text_tokens(const Policy& policy, int64_t text_tokens, RandomObservation& observation) {
  if (text_tokens > preprocess::kMaxTextTokens) {
    return usage_error("--text-tokens {}: a policy takes at most {}", text_tokens,
                       preprocess::kMaxTextTokens);
  }
  PreparedInputs inputs;
  const auto count = [&](std::string text) -> Result<int64_t> {
    observation.set_language(std::move(text));
    SINEW_TRY(policy.prepare(observation.observation(), inputs));
    return inputs.shape().tokens - inputs.shape().image_tokens;
  };
  SINEW_ASSIGN(const int64_t frame, count(""));
  if (frame == text_tokens) {
    return {};
  }
  if (frame > text_tokens) {
    return usage_error(
        "--text-tokens {}: the prompt has {} tokens around its images without any instruction; ask "
        "for at least as many",
        text_tokens, frame);
  }
  // Words that vocabularies have as one token, with and without a blank in front.
  for (const char* word : {"the", "a", "to", "up", "1"}) {
    SINEW_ASSIGN(const int64_t found, count(repeated(word, text_tokens - frame)));
    if (found == text_tokens) {
      return {};
    }
  }
  return usage_error(
      "--text-tokens {}: no instruction of the words tried has {} tokens with this tokenizer",
      text_tokens, text_tokens - frame);
}

}  // namespace sinew::cli
