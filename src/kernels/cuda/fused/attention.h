// softmax(q k^T * scale) v per head, in bf16 with f32 sums: per-image (segments), causal with query
// groups, or over other rows (queries != keys). The meaning is that of kernels/cpu/attention.cpp.
#pragma once

#include "kernels/cuda/stream.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <cstdint>

namespace sinew::cuda {

// Rows of q, k, v are `stride` elements apart, heads lie side by side within a row: q, k and v may
// be columns of one matrix. Device memory, 16-byte aligned; strides are multiples of 8.
struct AttentionArgs {
  int64_t segments = 1;
  int64_t queries = 0;  // of a segment
  int64_t keys = 0;     // of a segment
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t head_dim = 0;  // 48, 72 or 128
  float scale = 1;
  bool is_causal = false;  // query i sees keys 0 .. i; queries == keys

  const void* q = nullptr;  // [segments * queries, heads * head_dim]
  const void* k = nullptr;  // [segments * keys, kv_heads * head_dim]
  const void* v = nullptr;
  void* out = nullptr;  // [segments * queries, heads * head_dim]
  int64_t q_stride = 0;
  int64_t k_stride = 0;
  int64_t v_stride = 0;
  int64_t out_stride = 0;
  bool is_dependent = false;  // the device has programmatic dependent launch
};

// How the work is cut: `row_warps` warps of 16 queries each, and `key_parts` groups of such warps
// that each see every key_parts-th block of keys and are merged in that order.
struct AttentionTile {
  int row_warps = 4;
  int key_parts = 1;
};

AttentionTile choose_attention_tile(const AttentionArgs& args, const ops::DeviceCaps& device);
Status check_attention(const AttentionArgs& args);

// Called once before the first launch.
Status prepare_attention(const AttentionArgs& args, const AttentionTile& tile);
Status enqueue_attention(const AttentionArgs& args, const AttentionTile& tile, Stream stream);

}  // namespace sinew::cuda
