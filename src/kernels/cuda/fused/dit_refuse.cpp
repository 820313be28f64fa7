#include "kernels/cuda/fused/dit_stack.h"

#include <fmt/format.h>

#include <string>

namespace sinew::cuda::dit {

std::string refuse_stack(int tokens, int blocks, int width, int heads, int hidden) {
  if (width != kWidth || heads != kHeads || hidden != kHidden) {
    return fmt::format("made for width {}, {} heads and {} hidden, found {}, {} and {}", kWidth,
                       kHeads, kHidden, width, heads, hidden);
  }
  if (tokens < 1 || tokens > kMaxTokens) {
    return fmt::format("takes 1 to {} tokens, found {}", kMaxTokens, tokens);
  }
  if (blocks < 2 || blocks > kMaxBlocks || blocks % 2 != 0) {
    return fmt::format("takes an even number of blocks up to {}, found {}", kMaxBlocks, blocks);
  }
  return {};
}

std::string refuse_context(int tokens, int64_t keys) {
  if (keys < 1 || keys > most_context_tokens(tokens)) {
    return fmt::format("takes contexts of 1 to {} tokens beside {} rows, found {}",
                       most_context_tokens(tokens), tokens, keys);
  }
  return {};
}

}  // namespace sinew::cuda::dit
