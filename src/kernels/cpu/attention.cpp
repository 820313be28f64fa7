// softmax(q k^T * scale) v per head, with query groups, causal limits and segments. Keys are
// transposed and values padded once per key-value head; then every (segment, head, block of four
// queries) is one independent item: scores, softmax and the weighted sum stay in the core's cache.
#include "base/check.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/softmax.h"

#include <algorithm>
#include <cstring>

namespace sinew::cpu {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kQueries = 4;        // rows of a register tile
constexpr int64_t kKeys = 2 * kLanes;  // columns of a score tile

// 16 floats in whatever registers the clone has. Loads and stores through it need no alignment.
using Lanes =
    float __attribute__((vector_size(kLanes * sizeof(float)), aligned(alignof(float)), may_alias));

int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Four rows of a product: c[r, 0..columns) = sum over i < depth of a[r, i] b[i, 0..columns).
// kVectors * 16 columns at a time; b has row stride `ldb`, c has `ldc`, a has `lda`.
template <int kVectors>
inline __attribute__((always_inline)) void tile(const float* __restrict a, int64_t lda,
                                                const float* __restrict b, int64_t ldb,
                                                int64_t depth, float* __restrict c, int64_t ldc) {
  Lanes sums[kQueries][kVectors] = {};
  for (int64_t i = 0; i < depth; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      const Lanes row = *reinterpret_cast<const Lanes*>(b + i * ldb + v * kLanes);
      for (int64_t r = 0; r < kQueries; ++r) {
        sums[r][v] += a[r * lda + i] * row;
      }
    }
  }
  for (int64_t r = 0; r < kQueries; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<Lanes*>(c + r * ldc + v * kLanes) = sums[r][v];
    }
  }
}

// `columns` is a multiple of 16.
SINEW_CPU_CLONES void four_rows(const float* a, int64_t lda, const float* b, int64_t ldb,
                                int64_t depth, int64_t columns, float* c, int64_t ldc) {
  int64_t column = 0;
  for (; column + kKeys <= columns; column += kKeys) {
    tile<2>(a, lda, b + column, ldb, depth, c + column, ldc);
  }
  if (column < columns) {
    tile<1>(a, lda, b + column, ldb, depth, c + column, ldc);
  }
}

// k [s, e] with row stride `stride` -> [e, padded], columns from s on zero.
void transpose_keys(const float* k, int64_t stride, int64_t s, int64_t e, int64_t padded,
                    float* out) {
  for (int64_t first = 0; first < s; first += kLanes) {
    const int64_t end = std::min(first + kLanes, s);
    for (int64_t c = 0; c < e; ++c) {
      for (int64_t i = first; i < end; ++i) {
        out[c * padded + i] = k[i * stride + c];
      }
    }
  }
  for (int64_t c = 0; c < e; ++c) {
    std::fill(out + c * padded + s, out + (c + 1) * padded, 0.0F);
  }
}

// Rows of `width` floats at stride `from_stride` -> rows of `to_stride`, the rest zero.
void copy_padded(const float* from, int64_t from_stride, int64_t rows, int64_t width,
                 int64_t to_stride, float* to) {
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * to_stride, from + i * from_stride,
                static_cast<size_t>(width) * sizeof(float));
    std::fill(to + i * to_stride + width, to + (i + 1) * to_stride, 0.0F);
  }
}

class Attention final : public Kernel {
 public:
  Attention(const ops::AttentionAttributes& attributes, const float* q, const float* k,
            const float* v, float* y, const AttentionShape& shape, int threads)
      : a_(attributes),
        q_(q),
        k_(k),
        v_(v),
        y_(y),
        t_(shape.queries),
        s_(shape.keys),
        e_(shape.head_dim),
        padded_keys_(round_up(s_, kLanes)),
        padded_dim_(round_up(e_, kLanes)),
        threads_(threads) {}

  // Keys and values of all heads, then per thread four queries, their scores and their results.
  size_t workspace_bytes() const override {
    return static_cast<size_t>(shared_floats() + threads_ * thread_floats()) * sizeof(float);
  }

  void run(const RunContext& context) override {
    auto* shared = reinterpret_cast<float*>(context.workspace);
    const int64_t sources = a_.segments * a_.kv_heads;
    const int64_t blocks = (t_ + kQueries - 1) / kQueries;
    const int64_t items = a_.segments * a_.heads * blocks;
    parallel_for(context.pool, sources, sources * s_ * e_,
                 [&](int64_t i) { load_head(i / a_.kv_heads, i % a_.kv_heads, shared); });
    context.pool.run(items, [&](int64_t i, int thread) {
      const int64_t head = i / blocks;
      run_block(head / a_.heads, head % a_.heads, i % blocks * kQueries, shared,
                shared + shared_floats() + thread * thread_floats());
    });
  }

 private:
  int64_t shared_floats() const {
    return a_.segments * a_.kv_heads * (e_ * padded_keys_ + s_ * padded_dim_);
  }

  int64_t thread_floats() const { return kQueries * (padded_keys_ + 2 * padded_dim_); }

  float* keys_of(int64_t segment, int64_t kv_head, float* shared) const {
    return shared + (segment * a_.kv_heads + kv_head) * (e_ * padded_keys_ + s_ * padded_dim_);
  }

  void load_head(int64_t segment, int64_t kv_head, float* shared) const {
    const int64_t stride = a_.kv_heads * e_;
    const int64_t first = segment * s_ * stride + kv_head * e_;
    float* keys = keys_of(segment, kv_head, shared);
    transpose_keys(k_ + first, stride, s_, e_, padded_keys_, keys);
    copy_padded(v_ + first, stride, s_, e_, padded_dim_, keys + e_ * padded_keys_);
  }

  // Queries [first, first + 4) of one head of one segment.
  void run_block(int64_t segment, int64_t head, int64_t first, float* shared, float* own) const {
    const int64_t rows = std::min(kQueries, t_ - first);
    const int64_t stride = a_.heads * e_;
    const int64_t offset = (segment * t_ + first) * stride + head * e_;
    const float* keys = keys_of(segment, head / (a_.heads / a_.kv_heads), shared);
    const float* values = keys + e_ * padded_keys_;
    float* queries = own;
    float* scores = queries + kQueries * padded_dim_;
    float* results = scores + kQueries * padded_keys_;

    copy_padded(q_ + offset, stride, rows, e_, padded_dim_, queries);
    std::fill(queries + rows * padded_dim_, scores, 0.0F);
    const int64_t last_visible = a_.is_causal ? first + rows : s_;
    const int64_t columns = round_up(last_visible, kLanes);
    four_rows(queries, padded_dim_, keys, padded_keys_, e_, columns, scores, padded_keys_);
    float sums[kQueries] = {};
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t visible = a_.is_causal ? first + r + 1 : s_;
      sums[r] = softmax_numerators(scores + r * padded_keys_, visible, columns, a_.scale);
    }
    four_rows(scores, padded_keys_, values, padded_dim_, last_visible, padded_dim_, results,
              padded_dim_);
    for (int64_t r = 0; r < rows; ++r) {
      const float* from = results + r * padded_dim_;
      float* to = y_ + offset + r * stride;
      for (int64_t c = 0; c < e_; ++c) {
        to[c] = from[c] / sums[r];
      }
    }
  }

  ops::AttentionAttributes a_;
  const float* q_;  // [segments * t, heads * e]
  const float* k_;  // [segments * s, kv_heads * e]
  const float* v_;  // [segments * s, kv_heads * e]
  float* y_;        // [segments * t, heads * e]
  int64_t t_;       // queries of a segment
  int64_t s_;       // keys of a segment
  int64_t e_;
  int64_t padded_keys_;
  int64_t padded_dim_;
  int threads_;
};

}  // namespace

AttentionShape attention_shape(const BoundStep& step) {
  const auto& attributes = std::get<ops::AttentionAttributes>(step.attributes);
  const int64_t queries = row_count(step.srcs[0].shape);
  const int64_t keys = row_count(step.srcs[1].shape);
  SINEW_CHECK(attributes.heads > 0 && attributes.kv_heads > 0 && attributes.segments > 0);
  SINEW_CHECK(attributes.heads % attributes.kv_heads == 0);
  SINEW_CHECK(queries % attributes.segments == 0 && keys % attributes.segments == 0 && keys > 0);
  SINEW_CHECK(!attributes.is_causal || queries == keys);
  const int64_t head_dim = row_length(step.srcs[0].shape) / attributes.heads;
  SINEW_CHECK(row_length(step.srcs[1].shape) == attributes.kv_heads * head_dim);
  return {.queries = queries / attributes.segments,
          .keys = keys / attributes.segments,
          .head_dim = head_dim};
}

MadeKernel make_attention(const BoundStep& step, WeightCache& weights) {
  const AttentionShape shape = attention_shape(step);
  SINEW_ASSIGN(const float* q, real_source(step, 0, weights));
  SINEW_ASSIGN(const float* k, real_source(step, 1, weights));
  SINEW_ASSIGN(const float* v, real_source(step, 2, weights));
  return std::unique_ptr<Kernel>(
      std::make_unique<Attention>(std::get<ops::AttentionAttributes>(step.attributes), q, k, v,
                                  real_result(step), shape, step.threads));
}

}  // namespace sinew::cpu
