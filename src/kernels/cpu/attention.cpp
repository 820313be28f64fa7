// softmax(q k^T * scale) v per head, with query groups, causal limits and segments. Both products
// go through the block products that matrices use (block_product.h), in f32 or, where products are
// in bf16, in that. Keys and values are packed in panels once per key-value head; then every
// (segment, head, block of 32 queries) is one independent item whose scores stay in the core's
// cache.
#include "base/check.h"
#include "kernels/cpu/block_product.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/softmax.h"

#include <algorithm>
#include <type_traits>

namespace sinew::cpu {
namespace {

constexpr int64_t kQueries = 32;  // of an item

int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

template <class T>
constexpr bool kIsBf16 = std::is_same_v<T, Bf16>;

// Depth of a panel for `depth` elements.
template <class T>
int64_t padded_depth(int64_t depth) {
  return kIsBf16<T> ? round_up(depth, kBf16DepthStep) : depth;
}

template <class T>
T product_operand(float x) {
  if constexpr (kIsBf16<T>) {
    return to_bf16(x);
  } else {
    return x;
  }
}

template <class T>
T product_operand(Bf16 x) {
  static_assert(kIsBf16<T>);
  return x;
}

uint32_t pair_of(Bf16 low, Bf16 high) {
  return static_cast<uint32_t>(low.bits) | static_cast<uint32_t>(high.bits) << 16;
}

// Elements (depth i, column c) of a panel from `at(i, c)`; all else is zero. Column by column where
// `by_column`, which is how keys lie in memory, else depth by depth.
template <class T, class At>
void fill_panel(T* panel, int64_t depth, int64_t columns, bool by_column, const At& at) {
  constexpr int64_t kStep = kIsBf16<T> ? 2 : 1;
  using Cell = std::conditional_t<kIsBf16<T>, uint32_t, float>;  // one column of kStep depths
  auto* cells = reinterpret_cast<Cell*>(panel);
  const int64_t whole = depth / kStep * kStep;
  if (columns < kPanelColumns || whole < padded_depth<T>(depth)) {
    std::fill_n(cells, padded_depth<T>(depth) / kStep * kPanelColumns, Cell{});
  }
  const auto cell = [&](int64_t i, int64_t c) -> Cell {
    if constexpr (kIsBf16<T>) {
      return pair_of(at(i, c), at(i + 1, c));
    } else {
      return at(i, c);
    }
  };
  if (by_column) {
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t i = 0; i < whole; i += kStep) {
        cells[i / kStep * kPanelColumns + c] = cell(i, c);
      }
    }
  } else {
    for (int64_t i = 0; i < whole; i += kStep) {
      for (int64_t c = 0; c < columns; ++c) {
        cells[i / kStep * kPanelColumns + c] = cell(i, c);
      }
    }
  }
  if constexpr (kIsBf16<T>) {
    for (int64_t c = 0; whole < depth && c < columns; ++c) {
      cells[whole / kStep * kPanelColumns + c] = pair_of(at(whole, c), Bf16{});
    }
  }
}

// k [s, e] with row stride `stride` -> k^T in panels of 16 keys.
template <class T, class Source>
void pack_keys(const Source* k, int64_t stride, int64_t s, int64_t e, T* panels) {
  for (int64_t first = 0; first < s; first += kPanelColumns) {
    fill_panel(
        panels + first * padded_depth<T>(e), e, std::min(kPanelColumns, s - first), true,
        [&](int64_t i, int64_t c) { return product_operand<T>(k[(first + c) * stride + i]); });
  }
}

// v [s, e] with row stride `stride` -> panels of 16 columns.
template <class T, class Source>
void pack_values(const Source* v, int64_t stride, int64_t s, int64_t e, T* panels) {
  for (int64_t first = 0; first < e; first += kPanelColumns) {
    fill_panel(panels + first * padded_depth<T>(s), s, std::min(kPanelColumns, e - first), false,
               [&](int64_t i, int64_t c) { return product_operand<T>(v[i * stride + first + c]); });
  }
}

// Calls body(elements) with the view's data as what it is.
template <class T, class Body>
void with_elements(const ConstTensorView& view, const Body& body) {
  if constexpr (kIsBf16<T>) {
    if (view.dtype == DType::kBf16) {
      body(static_cast<const Bf16*>(view.data));
      return;
    }
  }
  body(static_cast<const float*>(view.data));
}

// Extents of one segment.
struct AttentionShape {
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t head_dim = 0;
};

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
  SINEW_CHECK(head_dim > 0 && head_dim <= kPieceElements);
  return {.queries = queries / attributes.segments,
          .keys = keys / attributes.segments,
          .head_dim = head_dim};
}

template <class T>
class Attention final : public Kernel {
 public:
  Attention(const BoundStep& step, const AttentionShape& shape)
      : a_(std::get<ops::AttentionAttributes>(step.attributes)),
        q_(step.srcs[0]),
        k_(step.srcs[1]),
        v_(step.srcs[2]),
        y_(real_output(step)),
        t_(shape.queries),
        s_(shape.keys),
        e_(shape.head_dim),
        key_panels_(round_up(s_, kPanelColumns) / kPanelColumns),
        value_panels_(round_up(e_, kPanelColumns) / kPanelColumns),
        threads_(step.threads) {
    if constexpr (kIsBf16<T>) {
      product_ = bf16_block_product();
    } else {
      product_ = f32_block_product();
    }
  }

  // Packed keys and values of all heads; then per thread 32 queries, their scores, these as product
  // operands, and their results.
  size_t workspace_bytes() const override {
    return shared_bytes() + static_cast<size_t>(threads_) * thread_bytes();
  }

  void run(const RunContext& context) override {
    auto* packed = reinterpret_cast<T*>(context.workspace);
    const int64_t sources = a_.segments * a_.kv_heads;
    parallel_for(context.pool, sources, sources * s_ * e_, [&](int64_t i) { pack(i, packed); });
    const int64_t blocks = (t_ + kQueries - 1) / kQueries;
    context.pool.run(a_.segments * a_.heads * blocks, [&](int64_t i, int thread) {
      const int64_t head = i / blocks;
      run_block(head / a_.heads, head % a_.heads, i % blocks * kQueries, packed,
                context.workspace + shared_bytes() + static_cast<size_t>(thread) * thread_bytes());
    });
  }

 private:
  int64_t key_elements() const { return key_panels_ * kPanelColumns * padded_depth<T>(e_); }

  int64_t head_elements() const {
    return key_elements() + value_panels_ * kPanelColumns * padded_depth<T>(s_);
  }

  size_t shared_bytes() const {
    return static_cast<size_t>(round_up(a_.segments * a_.kv_heads * head_elements(), 64)) *
           sizeof(T);
  }

  int64_t score_stride() const { return key_panels_ * kPanelColumns; }

  int64_t result_stride() const { return value_panels_ * kPanelColumns; }

  int64_t query_stride() const { return round_up(e_, product_.tile_rows > 0 ? kBf16DepthStep : 2); }

  int64_t weight_stride() const { return round_up(score_stride(), kBf16DepthStep); }

  size_t thread_bytes() const {
    const int64_t floats = kQueries * (score_stride() + result_stride());
    const int64_t operands = kIsBf16<T> ? kQueries * std::max(weight_stride(), query_stride()) : 0;
    return static_cast<size_t>(round_up(floats, 16)) * sizeof(float) +
           static_cast<size_t>(round_up(operands, 32)) * sizeof(T);
  }

  // Keys and values of one head of one segment.
  void pack(int64_t source, T* packed) const {
    const int64_t stride = a_.kv_heads * e_;
    const int64_t first = source / a_.kv_heads * s_ * stride + source % a_.kv_heads * e_;
    T* keys = packed + source * head_elements();
    with_elements<T>(k_, [&](const auto* k) { pack_keys(k + first, stride, s_, e_, keys); });
    with_elements<T>(
        v_, [&](const auto* v) { pack_values(v + first, stride, s_, e_, keys + key_elements()); });
  }

  // Queries [first, first + 32) of one head of one segment.
  void run_block(int64_t segment, int64_t head, int64_t first, const T* packed,
                 std::byte* scratch) const {
    auto* scores = reinterpret_cast<float*>(scratch);
    float* results = scores + kQueries * score_stride();
    auto* operands = reinterpret_cast<T*>(
        scratch + static_cast<size_t>(round_up(kQueries * (score_stride() + result_stride()), 16)) *
                      sizeof(float));
    const int64_t rows = std::min(kQueries, t_ - first);
    const int64_t stride = a_.heads * e_;
    const int64_t offset = (segment * t_ + first) * stride + head * e_;
    const int64_t source = segment * a_.kv_heads + head / (a_.heads / a_.kv_heads);
    const T* keys = packed + source * head_elements();
    const int64_t seen = a_.is_causal ? first + rows : s_;  // keys that the last row sees
    const int64_t padded = round_up(seen, kPanelColumns);

    BlockOperands<T> product{.rows = rows,
                             .panels = keys,
                             .panel_stride = kPanelColumns * padded_depth<T>(e_),
                             .panel_count = padded / kPanelColumns,
                             .depth = e_,
                             .out = scores,
                             .ldout = score_stride()};
    read_queries(offset, stride, rows, operands, product);
    product_.run(product);
    product = {.rows = rows,
               .panels = keys + key_elements(),
               .panel_stride = kPanelColumns * padded_depth<T>(s_),
               .panel_count = value_panels_,
               .depth = seen,
               .out = results,
               .ldout = result_stride()};
    float sums[kQueries] = {};
    if constexpr (kIsBf16<T>) {
      // Zero weights of keys that are not there cost less than a partial step of depths; causal
      // limits must not let a later token's infinity in.
      product.depth = a_.is_causal ? round_up(seen, 2) : weight_stride();
      product.x = operands;
      product.ldx = weight_stride();
    } else {
      product.x = scores;
      product.ldx = score_stride();
    }
    T* weights = const_cast<T*>(product.x);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t visible = a_.is_causal ? first + r + 1 : s_;
      sums[r] =
          softmax_numerators(scores + r * score_stride(), visible, std::max(padded, product.depth),
                             a_.scale, weights + r * product.ldx);
    }
    product_.run(product);
    for (int64_t r = 0; r < rows; ++r) {
      const float* from = results + r * result_stride();
      const float sum = sums[r];
      y_.fill(offset + r * stride, e_, [&](float* to) {
        for (int64_t c = 0; c < e_; ++c) {
          to[c] = from[c] / sum;
        }
      });
    }
  }

  // Points the product at the queries; bf16 ones are copied, converted where they are f32, into
  // rows that end on a whole step of depths where the product takes such steps.
  void read_queries(int64_t offset, int64_t stride, int64_t rows, T* operands,
                    BlockOperands<T>& product) const {
    product.x = static_cast<const T*>(q_.data) + offset;
    product.ldx = stride;
    if constexpr (kIsBf16<T>) {
      for (int64_t r = 0; r < rows; ++r) {
        Bf16* to = operands + r * query_stride();
        with_elements<T>(q_, [&](const auto* q) { copy_row(q + offset + r * stride, to); });
        std::fill(to + e_, to + query_stride(), Bf16{});
      }
      product.x = operands;
      product.ldx = query_stride();
      product.depth = query_stride();
    }
  }

  void copy_row(const float* from, Bf16* to) const { narrow_loop(from, to, e_); }

  void copy_row(const Bf16* from, Bf16* to) const { std::copy_n(from, e_, to); }

  ops::AttentionAttributes a_;
  ConstTensorView q_;  // [segments * t, heads * e]
  ConstTensorView k_;  // [segments * s, kv_heads * e]
  ConstTensorView v_;  // [segments * s, kv_heads * e]
  RealOutput y_;       // [segments * t, heads * e]
  int64_t t_;          // queries of a segment
  int64_t s_;          // keys of a segment
  int64_t e_;
  int64_t key_panels_;
  int64_t value_panels_;
  int threads_;
  BlockProduct<T> product_;
};

}  // namespace

MadeKernel make_attention(const BoundStep& step, WeightCache& /*weights*/) {
  SINEW_CHECK(!step.src_is_weight[0] && !step.src_is_weight[1] && !step.src_is_weight[2]);
  const AttentionShape shape = attention_shape(step);
  // An odd head dimension would make a bf16 product read a pair beyond a row.
  if (step.product_dtype == DType::kBf16 && shape.head_dim % 2 == 0) {
    return std::unique_ptr<Kernel>(std::make_unique<Attention<Bf16>>(step, shape));
  }
  for (const ConstTensorView& src : step.srcs) {
    SINEW_CHECK(src.dtype == DType::kF32);
  }
  return std::unique_ptr<Kernel>(std::make_unique<Attention<float>>(step, shape));
}

}  // namespace sinew::cpu
