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

AttentionTile choose_attention_tile(const AttentionArgs& args, const ops::DeviceCaps& device) {
  const int multiprocessors = device.multiprocessors;
  const auto blocks = [&](int64_t row_warps) {
    return args.segments * args.heads * ((args.queries + 16 * row_warps - 1) / (16 * row_warps));
  };
  // Tall tiles read the keys less often. Warps mostly wait for their own memory and tensor cores,
  // so that two groups for the two halves of the keys pay until there are two blocks for every
  // multiprocessor.
  if (!args.is_causal && args.queries > 64) {
    return {.row_warps = 6, .key_parts = blocks(6) <= multiprocessors ? 2 : 1};
  }
  const int64_t key_blocks = (args.keys + 63) / 64;
  // Two groups hold twice the keys; GPUs with less shared memory than a data centre's have room for
  // one.
  constexpr size_t kTwoGroupsBytes = size_t{140} << 10;
  const bool has_room = args.head_dim < 128 || device.block_shared_bytes >= kTwoGroupsBytes;
  return {.row_warps = blocks(2) < multiprocessors ? 1 : 2,
          .key_parts = key_blocks >= 2 && has_room ? 2 : 1};
}

}  // namespace sinew::cuda
