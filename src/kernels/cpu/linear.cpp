// y = x W^T + b or x W + b, alone and with what usually follows it: an activation, a residual sum,
// or a gate. The products take nearly all the time of a policy. Blocks of rows and columns are
// summed (block_product.h) into a thread's own scratch and finished there, while they are in its
// cache.
#include "base/check.h"
#include "kernels/cpu/block_product.h"
#include "kernels/cpu/block_product_rows.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

namespace sinew::cpu {
namespace {

constexpr size_t kAlignment = 64;

size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// What happens to a sum after its bias was added.
struct Finish {
  UnaryLoop activation = nullptr;
  const float* residual = nullptr;  // [rows, outputs], added
  bool is_gated = false;            // two matrices: activation(first product) * second product
};

struct LinearOperands {
  ConstTensorView x;  // [rows, inputs], f32 or bf16
  std::array<PackedMatrix, 2> matrices;
  const float* bias = nullptr;  // [outputs], of the first product
  Finish finish;
  RealOutput y;  // [rows, outputs]
  int64_t rows = 0;
  int threads = 1;
};

// Blocks large enough to be summed at full speed and small enough that their rows and a few panels
// stay in a second-level cache and that threads share them evenly. The division changes no sum.
struct Division {
  int64_t block_rows = 0;
  int64_t block_panels = 0;
  int64_t row_blocks = 0;
  int64_t panel_blocks = 0;

  Division(int64_t rows, int64_t panels, int threads, int64_t most_rows) {
    constexpr int64_t kRowStep = 32;
    constexpr int64_t kPanelStep = 6;            // whole groups of every block product's panels
    constexpr int64_t kPanels = 3 * kPanelStep;  // long rows are read again for each block
    row_blocks = (rows + most_rows - 1) / most_rows;
    block_rows = (rows + row_blocks - 1) / row_blocks;
    if (row_blocks > 1) {
      block_rows = (block_rows + kRowStep - 1) / kRowStep * kRowStep;
      row_blocks = (rows + block_rows - 1) / block_rows;
    }
    const int64_t fair = panels * row_blocks / (int64_t{4} * threads);
    block_panels = std::clamp<int64_t>(fair, 1, kPanels);
    block_panels -= block_panels > kPanelStep ? block_panels % kPanelStep : 0;
    block_panels -= block_panels > 1 ? block_panels % 2 : 0;
    panel_blocks = (panels + block_panels - 1) / block_panels;
  }
};

template <class T>
class Linear final : public Kernel {
 public:
  // Up to as many f32 rows are read where they are: a copy of few would cost as much as it saves.
  static constexpr int64_t kFewRows = 64;
  static constexpr bool kIsBf16 = std::is_same_v<T, Bf16>;
  static constexpr int64_t kPairColumns = 2 * kPanelColumns;
  static constexpr int64_t kStripRows = 384;
  static constexpr int64_t kStripPanels = 4;

  explicit Linear(const LinearOperands& operands)
      : o_(operands),
        division_(o_.rows, o_.matrices[0].panel_count(), o_.threads, most_rows()),
        strip_panels_(is_in_strips() ? std::min(kStripPanels, division_.block_panels)
                                     : division_.block_panels) {
    if constexpr (std::is_same_v<T, float>) {
      product_ = f32_block_product();
    } else {
      product_ = bf16_block_product();
    }
    choose_finish();
    const int64_t inputs = o_.matrices[0].inputs;
    is_tiled_ = product_.tile_rows > 0 && (kIsBf16 || o_.rows > kFewRows);
    // Rows that a block product cannot read as they are (another type, an odd length), or should
    // not.
    if (is_tiled_ || o_.x.dtype != dtype_of<T>() || (kIsBf16 && inputs % 2 != 0)) {
      copied_stride_ =
          kIsBf16 ? (inputs + kBf16DepthStep - 1) / kBf16DepthStep * kBf16DepthStep : inputs;
    }
  }

  // The converted rows, then sums of one block a thread (two of a gated product).
  size_t workspace_bytes() const override {
    return copied_bytes() + static_cast<size_t>(o_.threads) * thread_bytes();
  }

  void run(const RunContext& context) override {
    const T* x = static_cast<const T*>(o_.x.data);
    int64_t ldx = o_.matrices[0].inputs;
    if (copied_stride_ > 0) {
      auto* copy = reinterpret_cast<T*>(context.workspace);
      copy_rows(context.pool, copy);
      x = copy;
      ldx = copied_stride_;
    }
    context.pool.run(division_.row_blocks * division_.panel_blocks, [&](int64_t item, int thread) {
      auto* sums = reinterpret_cast<float*>(context.workspace + copied_bytes() +
                                            static_cast<size_t>(thread) * thread_bytes());
      // Consecutive items share rows, which stay in the second-level cache.
      run_block(x, ldx, item / division_.panel_blocks, item % division_.panel_blocks, sums);
    });
  }

 private:
  size_t copied_bytes() const {
    const int64_t rows =
        kIsBf16 ? (o_.rows + kTileRows - 1) / kTileRows * kTileRows : o_.rows;  // of whole tiles
    return aligned(static_cast<size_t>(rows * copied_stride_) * sizeof(T));
  }

  // Where x and two strips of panels, the one in use and the one that is being fetched, fit into a
  // second-level cache, bf16 sums are made and finished a strip at a time: then sums take hardly
  // any of that cache.
  bool is_in_strips() const {
    constexpr int64_t kCacheBytes = int64_t{1280} << 10;
    const int64_t columns = 2 * kStripPanels * kPanelColumns;
    const int64_t line_bytes = o_.matrices[0].inputs * static_cast<int64_t>(sizeof(T));
    return is_in_pairs() && !o_.finish.is_gated &&
           (std::min(o_.rows, kStripRows) + columns) * line_bytes <= kCacheBytes;
  }

  // Of a block: more would not fit; fewer would read the panels more often.
  int64_t most_rows() const { return is_in_strips() ? kStripRows : 256; }

  // Where many rows are summed, tiles of sums lie together for two panels: rows of a whole strip
  // would be on as many pages.
  bool is_in_pairs() const { return kIsBf16 && o_.rows > kFewRows; }

  // Elements from a row of sums to the next.
  int64_t sum_stride() const { return is_in_pairs() ? kPairColumns : strip_columns(); }

  int64_t strip_columns() const { return (strip_panels_ + 1) / 2 * kPairColumns; }

  size_t thread_bytes() const {
    const int64_t products = o_.finish.is_gated ? 2 : 1;
    return aligned(static_cast<size_t>(products * division_.block_rows * strip_columns()) *
                   sizeof(float));
  }

  // x as the product wants it: bf16 zero-padded to whole steps of depths, in rows or in tiles; f32
  // in tiles.
  void copy_rows(ThreadPool& pool, T* to) const {
    const int64_t inputs = o_.matrices[0].inputs;
    if constexpr (kIsBf16) {
      parallel_for(pool, o_.rows, o_.rows * inputs, [&](int64_t row) {
        if (is_tiled_) {
          Bf16* tile =
              to + row / kTileRows * kTileRows * copied_stride_ + row % kTileRows * kBf16DepthStep;
          for (int64_t i = 0; i < copied_stride_; i += kBf16DepthStep) {
            copy_elements(row * inputs + i, std::min(kBf16DepthStep, inputs - i), kBf16DepthStep,
                          tile + i * kTileRows);
          }
        } else {
          copy_elements(row * inputs, inputs, copied_stride_, to + row * copied_stride_);
        }
      });
    } else {
      const auto* from = static_cast<const float*>(o_.x.data);
      for (int64_t block = 0; block < division_.row_blocks; ++block) {
        const int64_t first = block * division_.block_rows;
        const RowTiles tiles(std::min(division_.block_rows, o_.rows - first), product_.tile_rows);
        parallel_for(pool, tiles.count, tiles.rows * inputs, [&](int64_t tile) {
          const int64_t row = first + tiles.first(tile);
          transpose_loop(from + row * inputs, first + tiles.first(tile + 1) - row, inputs,
                         to + row * inputs);
        });
      }
    }
  }

  // Elements [first, first + n) of x, then zeros up to `padded`.
  void copy_elements(int64_t first, int64_t n, int64_t padded, Bf16* to) const {
    if (o_.x.dtype == DType::kF32) {
      narrow_loop(static_cast<const float*>(o_.x.data) + first, to, n);
    } else if (n == kBf16DepthStep) {  // a line: not worth a call
      std::memcpy(static_cast<void*>(to), static_cast<const Bf16*>(o_.x.data) + first,
                  kBf16DepthStep * sizeof(Bf16));
    } else {
      std::copy_n(static_cast<const Bf16*>(o_.x.data) + first, n, to);
    }
    std::fill(to + n, to + padded, Bf16{});
  }

  void run_block(const T* x, int64_t ldx, int64_t row_block, int64_t panel_block,
                 float* sums) const {
    const int64_t first_row = row_block * division_.block_rows;
    const int64_t rows = std::min(division_.block_rows, o_.rows - first_row);
    const int64_t end =
        std::min((panel_block + 1) * division_.block_panels, o_.matrices[0].panel_count());
    for (int64_t panel = panel_block * division_.block_panels; panel < end;
         panel += strip_panels_) {
      run_strip(x + first_row * ldx, ldx, first_row, rows, panel,
                std::min(strip_panels_, end - panel), sums);
    }
  }

  // `x` is the first of the rows: whole tiles begin there, where there are tiles.
  void run_strip(const T* x, int64_t ldx, int64_t first_row, int64_t rows, int64_t first_panel,
                 int64_t panels, float* sums) const {
    float* second = sums + division_.block_rows * strip_columns();
    const int64_t pair_stride = is_in_pairs() ? division_.block_rows * kPairColumns : kPairColumns;
    for (size_t i = 0; i < (o_.finish.is_gated ? 2U : 1U); ++i) {
      const PackedMatrix& matrix = o_.matrices[i];
      product_.run({.x = x,
                    .ldx = ldx,
                    .is_tiled = is_tiled_,
                    .rows = rows,
                    .panels = matrix.as<T>() + first_panel * matrix.panel_elements(),
                    .panel_stride = matrix.panel_elements(),
                    .panel_count = panels,
                    .depth = matrix.inputs + (kIsBf16 ? matrix.inputs % 2 : 0),
                    .out = i == 0 ? sums : second,
                    .ldout = sum_stride(),
                    .pair_stride = pair_stride,
                    .is_cold = true});
    }
    for (int64_t panel = 0; panel < panels; panel += 2) {
      const int64_t column = (first_panel + panel) * kPanelColumns;
      const int64_t columns = std::min(
          {(panels - panel) * kPanelColumns, kPairColumns, o_.matrices[0].outputs - column});
      finish(sums + panel / 2 * pair_stride, second + panel / 2 * pair_stride, first_row, rows,
             column, columns);
    }
  }

  void finish(float* sums, const float* second, int64_t first_row, int64_t rows, int64_t column,
              int64_t columns) const {
    if (in_one_pass_ != nullptr) {
      in_one_pass_(finish_rows<float>(sums, second, first_row, rows, column, columns));
    } else if (narrowed_in_one_pass_ != nullptr) {
      narrowed_in_one_pass_(finish_rows<Bf16>(sums, second, first_row, rows, column, columns));
    } else {
      for (int64_t r = 0; r < rows; ++r) {
        finish_in_passes(sums + r * sum_stride(), first_row + r, column, columns);
      }
    }
  }

  // The same operations in the same order as the ops one after the other, on sums that are still in
  // the cache.
  template <class Y>
  FinishRows<Y> finish_rows(const float* sums, const float* second, int64_t first_row, int64_t rows,
                            int64_t column, int64_t columns) const {
    const int64_t outputs = o_.matrices[0].outputs;
    const int64_t first = first_row * outputs + column;
    FinishRows<Y> operands{.x = sums,
                           .ldx = sum_stride(),
                           .y = o_.y.template as<Y>() + first,
                           .ldy = outputs,
                           .rows = rows,
                           .n = columns};
    const float* residual = o_.finish.residual == nullptr ? nullptr : o_.finish.residual + first;
    if (o_.finish.is_gated) {
      operands.a = second;
      operands.lda = sum_stride();
    } else if (o_.bias != nullptr) {
      operands.a = o_.bias + column;  // the same for all rows
      operands.b = residual;
      operands.ldb = outputs;
    } else {
      operands.a = residual;
      operands.lda = outputs;
    }
    return operands;
  }

  // Combinations that are rare.
  void finish_in_passes(float* sums, int64_t row, int64_t column, int64_t n) const {
    SINEW_CHECK(!o_.finish.is_gated);
    const int64_t first = row * o_.matrices[0].outputs + column;
    const float* residual = o_.finish.residual == nullptr ? nullptr : o_.finish.residual + first;
    if (o_.bias != nullptr) {
      add_loop(sums, o_.bias + column, nullptr, sums, n);
    }
    o_.y.fill(first, n, [&](float* y) {
      if (o_.finish.activation != nullptr) {
        o_.finish.activation(sums, y, n);
      } else if (residual != nullptr) {
        add_loop(sums, residual, nullptr, y, n);
      } else {
        std::copy_n(sums, n, y);
      }
    });
  }

  // The combinations of the network's large products.
  void choose_finish() {
    const Finish& finish = o_.finish;
    const bool has_bias = o_.bias != nullptr;
    if (finish.is_gated) {
      SINEW_CHECK(finish.activation == silu_loop && !has_bias);
      choose(silu_mul_rows, silu_mul_rows);
    } else if (has_bias && finish.activation == gelu_tanh_loop) {
      choose(add_gelu_tanh_rows, add_gelu_tanh_rows);
    } else if (!has_bias && finish.activation == nullptr) {
      if (finish.residual != nullptr) {
        choose(add_rows, nullptr);
      } else {
        choose(store_rows, store_rows);
      }
    } else if (has_bias && finish.activation == nullptr) {
      if (finish.residual != nullptr) {
        choose(add_add_rows, nullptr);
      } else {
        choose(add_rows, add_rows);
      }
    }
  }

  void choose(FinishLoop<float> loop, FinishLoop<Bf16> narrowed) {
    if (o_.y.is_bf16()) {
      narrowed_in_one_pass_ = narrowed;
    } else {
      in_one_pass_ = loop;
    }
  }

  LinearOperands o_;
  Division division_;
  int64_t strip_panels_;  // of a block, summed and finished at a time
  BlockProduct<T> product_;
  int64_t copied_stride_ = 0;  // elements of a copied row; 0: rows are read where they are
  bool is_tiled_ = false;      // the copy is in tiles
  FinishLoop<float> in_one_pass_ = nullptr;
  FinishLoop<Bf16> narrowed_in_one_pass_ = nullptr;
};

class Nothing final : public Kernel {
 public:
  void run(const RunContext& /*context*/) override {}
};

// The operands of a linear step; y is that of the last step fused with it.
Result<LinearOperands> linear_operands(const BoundStep& step, const BoundStep& last,
                                       WeightCache& weights) {
  SINEW_CHECK(step.src_is_weight[1]);  // products of two activations are `attention`
  LinearOperands o;
  o.x = step.srcs[0];
  SINEW_CHECK(o.x.dtype == DType::kF32 || o.x.dtype == DType::kBf16);
  if (step.src_is_weight[0]) {
    SINEW_ASSIGN(const float* const values, weights.plain(step.srcs[0]));
    o.x = {values, DType::kF32, step.srcs[0].shape};
  }
  o.rows = row_count(o.x.shape);
  o.threads = step.threads;
  const bool weights_in_out = std::get<ops::LinearAttributes>(step.attributes).weights_in_out;
  SINEW_ASSIGN(o.matrices[0], weights.packed(step.srcs[1], weights_in_out, row_length(o.x.shape),
                                             step.product_dtype));
  SINEW_ASSIGN(o.bias, real_source(step, 2, weights));
  SINEW_CHECK(o.rows * o.matrices[0].outputs == last.dsts[0].shape.elements());
  o.y = real_output(last);
  return o;
}

MadeKernel make_linear_kernel(const BoundStep& step, const LinearOperands& operands) {
  if (step.product_dtype == DType::kBf16) {
    return std::unique_ptr<Kernel>(std::make_unique<Linear<Bf16>>(operands));
  }
  SINEW_CHECK(operands.x.dtype == DType::kF32);
  return std::unique_ptr<Kernel>(std::make_unique<Linear<float>>(operands));
}

}  // namespace

MadeKernel make_linear(const BoundStep& step, WeightCache& weights) {
  if (step.dsts[0].shape.elements() == 0) {
    return std::unique_ptr<Kernel>(std::make_unique<Nothing>());
  }
  SINEW_ASSIGN(const LinearOperands operands, linear_operands(step, step, weights));
  return make_linear_kernel(step, operands);
}

// linear, then gelu_tanh, gelu_erf, silu or relu
MadeKernel make_linear_activation(std::span<const BoundStep> steps, WeightCache& weights) {
  SINEW_CHECK(steps.size() == 2);
  SINEW_ASSIGN(LinearOperands operands, linear_operands(steps[0], steps[1], weights));
  switch (steps[1].op) {
    case ops::OpKind::kGeluTanh:
      operands.finish.activation = gelu_tanh_loop;
      break;
    case ops::OpKind::kGeluErf:
      operands.finish.activation = gelu_erf_loop;
      break;
    case ops::OpKind::kSilu:
      operands.finish.activation = silu_loop;
      break;
    case ops::OpKind::kRelu:
      operands.finish.activation = relu_loop;
      break;
    default:
      SINEW_CHECK(false && "an activation follows");
  }
  return make_linear_kernel(steps[0], operands);
}

// linear, then add(linear, residual)
MadeKernel make_linear_residual(std::span<const BoundStep> steps, WeightCache& weights) {
  SINEW_CHECK(steps.size() == 2 && steps[1].op == ops::OpKind::kAdd);
  SINEW_ASSIGN(LinearOperands operands, linear_operands(steps[0], steps[1], weights));
  SINEW_CHECK(steps[1].srcs[1].shape.elements() == steps[1].dsts[0].shape.elements());
  SINEW_ASSIGN(operands.finish.residual, real_source(steps[1], 1, weights));
  return make_linear_kernel(steps[0], operands);
}

// linear (gate), silu, linear (up), mul(silu, up)
MadeKernel make_swiglu(std::span<const BoundStep> steps, WeightCache& weights) {
  SINEW_CHECK(steps.size() == 4 && steps[1].op == ops::OpKind::kSilu &&
              steps[2].op == ops::OpKind::kLinear && steps[3].op == ops::OpKind::kMul);
  SINEW_ASSIGN(LinearOperands operands, linear_operands(steps[0], steps[3], weights));
  SINEW_ASSIGN(const LinearOperands up, linear_operands(steps[2], steps[3], weights));
  SINEW_CHECK(operands.bias == nullptr && up.bias == nullptr);
  operands.matrices[1] = up.matrices[0];
  operands.finish.activation = silu_loop;
  operands.finish.is_gated = true;
  return make_linear_kernel(steps[0], operands);
}

}  // namespace sinew::cpu
