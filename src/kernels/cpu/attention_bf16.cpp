// Attention over bf16 queries, keys and values with f32 sums: both products go through the block
// products that matrices use (block_product.h). Keys and values are packed in panels once per
// key-value head; then every (segment, head, block of 32 queries) is one independent item whose
// scores stay in the core's cache.
#include "base/check.h"
#include "kernels/cpu/block_product.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/softmax.h"

#include <algorithm>
#include <cstring>

namespace sinew::cpu {
namespace {

constexpr int64_t kQueries = 32;  // of an item

int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

uint32_t pair_of(Bf16 low, Bf16 high) {
  return static_cast<uint32_t>(low.bits) | static_cast<uint32_t>(high.bits) << 16;
}

// k [s, e] with row stride `stride` -> k^T in panels of 16 keys: [s / 16][padded e / 2][16][2].
void pack_keys(const Bf16* k, int64_t stride, int64_t s, int64_t e, Bf16* panels) {
  const int64_t depth = round_up(e, kBf16DepthStep);
  const int64_t pairs = e / 2;
  for (int64_t first = 0; first < s; first += kPanelColumns) {
    auto* panel = reinterpret_cast<uint32_t*>(panels + first * depth);
    const int64_t columns = std::min(kPanelColumns, s - first);
    if (columns < kPanelColumns || pairs * 2 < depth) {
      std::fill_n(panel, depth / 2 * kPanelColumns, 0U);
    }
    for (int64_t c = 0; c < columns; ++c) {
      const auto* row = reinterpret_cast<const std::byte*>(k + (first + c) * stride);
      for (int64_t i = 0; i < pairs; ++i) {
        std::memcpy(panel + i * kPanelColumns + c, row + static_cast<size_t>(i) * sizeof(uint32_t),
                    sizeof(uint32_t));
      }
    }
  }
}

// v [s, e] with row stride `stride` -> panels of 16 columns: [e / 16][padded s / 2][16][2].
void pack_values(const Bf16* v, int64_t stride, int64_t s, int64_t e, Bf16* panels) {
  const int64_t depth = round_up(s, kBf16DepthStep);
  for (int64_t first = 0; first < e; first += kPanelColumns) {
    auto* panel = reinterpret_cast<uint32_t*>(panels + first * depth);
    const int64_t columns = std::min(kPanelColumns, e - first);
    for (int64_t i = 0; i < depth; i += 2) {
      uint32_t* pairs = panel + i / 2 * kPanelColumns;
      if (columns < kPanelColumns || i + 1 >= s) {
        std::fill_n(pairs, kPanelColumns, 0U);
      }
      if (i >= s) {
        continue;
      }
      const Bf16* low = v + i * stride + first;
      const Bf16* high = low + stride;
      const bool has_high = i + 1 < s;
      for (int64_t c = 0; c < columns; ++c) {
        pairs[c] = pair_of(low[c], has_high ? high[c] : Bf16{});
      }
    }
  }
}

class AttentionBf16 final : public Kernel {
 public:
  AttentionBf16(const BoundStep& step, const AttentionShape& shape)
      : a_(std::get<ops::AttentionAttributes>(step.attributes)),
        q_(step.srcs[0].as<Bf16>().data()),
        k_(step.srcs[1].as<Bf16>().data()),
        v_(step.srcs[2].as<Bf16>().data()),
        y_(real_output(step)),
        t_(shape.queries),
        s_(shape.keys),
        e_(shape.head_dim),
        key_panels_(round_up(s_, kPanelColumns) / kPanelColumns),
        value_panels_(round_up(e_, kPanelColumns) / kPanelColumns),
        key_depth_(round_up(e_, kBf16DepthStep)),
        value_depth_(round_up(s_, kBf16DepthStep)),
        threads_(step.threads),
        product_(bf16_block_product()) {}

  // Packed keys and values of all heads; then per thread the scores of 32 queries, the same in
  // bf16, and their results.
  size_t workspace_bytes() const override {
    return static_cast<size_t>(a_.segments * a_.kv_heads * head_elements()) * sizeof(Bf16) +
           static_cast<size_t>(threads_) * thread_bytes();
  }

  void run(const RunContext& context) override {
    auto* packed = reinterpret_cast<Bf16*>(context.workspace);
    const int64_t sources = a_.segments * a_.kv_heads;
    parallel_for(context.pool, sources, sources * s_ * e_, [&](int64_t i) {
      const int64_t stride = a_.kv_heads * e_;
      const int64_t first = i / a_.kv_heads * s_ * stride + i % a_.kv_heads * e_;
      pack_keys(k_ + first, stride, s_, e_, packed + i * head_elements());
      pack_values(v_ + first, stride, s_, e_, packed + i * head_elements() + key_elements());
    });
    std::byte* scratch =
        context.workspace + static_cast<size_t>(sources * head_elements()) * sizeof(Bf16);
    const int64_t blocks = (t_ + kQueries - 1) / kQueries;
    context.pool.run(a_.segments * a_.heads * blocks, [&](int64_t i, int thread) {
      const int64_t head = i / blocks;
      run_block(head / a_.heads, head % a_.heads, i % blocks * kQueries, packed,
                scratch + static_cast<size_t>(thread) * thread_bytes());
    });
  }

 private:
  int64_t key_elements() const { return key_panels_ * kPanelColumns * key_depth_; }

  int64_t head_elements() const {
    return key_elements() + value_panels_ * kPanelColumns * value_depth_;
  }

  int64_t score_stride() const { return key_panels_ * kPanelColumns; }

  int64_t result_stride() const { return value_panels_ * kPanelColumns; }

  size_t thread_bytes() const {
    const int64_t floats = kQueries * (score_stride() + result_stride());
    return static_cast<size_t>(floats) * sizeof(float) +
           static_cast<size_t>(kQueries * value_depth_) * sizeof(Bf16);
  }

  // Queries [first, first + 32) of one head of one segment.
  void run_block(int64_t segment, int64_t head, int64_t first, const Bf16* packed,
                 std::byte* scratch) const {
    auto* scores = reinterpret_cast<float*>(scratch);
    float* results = scores + kQueries * score_stride();
    auto* weights = reinterpret_cast<Bf16*>(results + kQueries * result_stride());
    const int64_t rows = std::min(kQueries, t_ - first);
    const int64_t stride = a_.heads * e_;
    const int64_t offset = (segment * t_ + first) * stride + head * e_;
    const int64_t source = segment * a_.kv_heads + head / (a_.heads / a_.kv_heads);
    const Bf16* keys = packed + source * head_elements();
    const int64_t seen = a_.is_causal ? first + rows : s_;  // keys that the last row sees
    const int64_t panels = (seen + kPanelColumns - 1) / kPanelColumns;

    product_.run({.x = q_ + offset,
                  .ldx = stride,
                  .rows = rows,
                  .panels = keys,
                  .panel_stride = kPanelColumns * key_depth_,
                  .panel_count = panels,
                  .depth = e_,
                  .out = scores,
                  .ldout = score_stride()});
    const int64_t padded = panels * kPanelColumns;
    const int64_t depth = round_up(padded, kBf16DepthStep);
    float sums[kQueries] = {};
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t visible = a_.is_causal ? first + r + 1 : s_;
      float* row = scores + r * score_stride();
      sums[r] = softmax_numerators(row, visible, padded, a_.scale);
      narrow_loop(row, weights + r * value_depth_, padded);
      std::fill(weights + r * value_depth_ + padded, weights + r * value_depth_ + depth, Bf16{});
    }
    product_.run({.x = weights,
                  .ldx = value_depth_,
                  .rows = rows,
                  .panels = keys + key_elements(),
                  .panel_stride = kPanelColumns * value_depth_,
                  .panel_count = value_panels_,
                  .depth = depth,
                  .out = results,
                  .ldout = result_stride()});
    for (int64_t r = 0; r < rows; ++r) {
      const float* from = results + r * result_stride();
      y_.fill(offset + r * stride, e_, [&](float* to) {
        const float sum = sums[r];
        for (int64_t c = 0; c < e_; ++c) {
          to[c] = from[c] / sum;
        }
      });
    }
  }

  ops::AttentionAttributes a_;
  const Bf16* q_;  // [segments * t, heads * e]
  const Bf16* k_;  // [segments * s, kv_heads * e]
  const Bf16* v_;  // [segments * s, kv_heads * e]
  RealOutput y_;   // [segments * t, heads * e]
  int64_t t_;      // queries of a segment
  int64_t s_;      // keys of a segment
  int64_t e_;
  int64_t key_panels_;
  int64_t value_panels_;
  int64_t key_depth_;    // e, padded
  int64_t value_depth_;  // s, padded
  int threads_;
  BlockProduct<Bf16> product_;
};

}  // namespace

MadeKernel make_attention_bf16(const BoundStep& step, WeightCache& /*weights*/) {
  const AttentionShape shape = attention_shape(step);
  SINEW_CHECK(shape.head_dim % 2 == 0 && shape.head_dim <= kPieceElements);
  return std::unique_ptr<Kernel>(std::make_unique<AttentionBf16>(step, shape));
}

}  // namespace sinew::cpu
