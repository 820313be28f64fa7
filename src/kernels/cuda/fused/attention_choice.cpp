// What attention accepts and how it is cut: plain host code, no CUDA.
#include "base/error.h"
#include "kernels/cuda/fused/attention.h"

namespace sinew::cuda {

Status check_attention(const AttentionArgs& args) {
  if (args.head_dim != 48 && args.head_dim != 72 && args.head_dim != 128) {
    return unsupported("fused attention with heads of {}: expected 48, 72 or 128", args.head_dim);
  }
  if (args.queries < 1 || args.keys < 1 || args.heads < 1 || args.kv_heads < 1 ||
      args.heads % args.kv_heads != 0 || (args.is_causal && args.queries != args.keys)) {
    return unsupported(
        "fused attention of {} queries over {} keys, {} heads over {}: expected whole groups of "
        "heads, and as many queries as keys where it is causal",
        args.queries, args.keys, args.heads, args.kv_heads);
  }
  return {};
}

AttentionTile choose_attention_tile(const AttentionArgs& args, int multiprocessors) {
  const auto blocks = [&](int row_warps) {
    return args.segments * args.heads * ((args.queries + 16 * row_warps - 1) / (16 * row_warps));
  };
  // Warps wait for each other's memory and tensor cores: eight a block, half of them for other keys
  // wherever there are keys enough, hide that best. Shorter tiles where tall ones leave
  // multiprocessors idle.
  const int64_t key_blocks = (args.keys + 63) / 64;
  AttentionTile tile{.row_warps = 4, .key_parts = key_blocks >= 2 ? 2 : 1};
  while (tile.row_warps > 2 && 2 * blocks(tile.row_warps) < 3 * multiprocessors) {
    --tile.row_warps;
  }
  return tile;
}

}  // namespace sinew::cuda
