// Ops that move whole rows: embedding look-up, gather, scatter, concatenation. Row numbers were
// checked when the request was prepared.
#include "base/check.h"
#include "kernels/cpu/make.h"
#include "tensor/convert.h"

#include <cstring>
#include <span>

namespace sinew::cpu {
namespace {

void copy_floats(const float* from, int64_t count, float* to) {
  if (count > 0) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  }
}

// Converts only the rows it needs: the table is the largest parameter of the model.
class Embed final : public Kernel {
 public:
  Embed(const ConstTensorView& table, ParameterRounding rounding, const int32_t* ids, int64_t count,
        float* y)
      : table_(table), rounding_(rounding), ids_(ids), count_(count), y_(y) {}

  void run(const RunContext& /*context*/) override {
    const int64_t d = row_length(table_.shape);
    const size_t row_bytes = static_cast<size_t>(d) * dtype_bytes(table_.dtype);
    for (int64_t i = 0; i < count_; ++i) {
      SINEW_DCHECK(ids_[i] >= 0 && ids_[i] < row_count(table_.shape));
      const auto* row =
          static_cast<const std::byte*>(table_.data) + static_cast<size_t>(ids_[i]) * row_bytes;
      convert_to_f32(ConstTensorView(row, table_.dtype, {d}),
                     std::span(y_ + i * d, static_cast<size_t>(d)), rounding_);
    }
  }

 private:
  ConstTensorView table_;  // [n, d], stored type
  ParameterRounding rounding_;
  const int32_t* ids_;  // [count]
  int64_t count_;
  float* y_;  // [count, d]
};

// Copies bytes, so x may be of either type.
class GatherRows final : public Kernel {
 public:
  GatherRows(const void* x, const int32_t* rows, int64_t count, size_t row_bytes, void* y)
      : x_(static_cast<const std::byte*>(x)),
        rows_(rows),
        count_(count),
        row_bytes_(row_bytes),
        y_(static_cast<std::byte*>(y)) {}

  void run(const RunContext& /*context*/) override {
    if (row_bytes_ == 0) {
      return;
    }
    for (int64_t i = 0; i < count_; ++i) {
      std::memcpy(y_ + static_cast<size_t>(i) * row_bytes_,
                  x_ + static_cast<size_t>(rows_[i]) * row_bytes_, row_bytes_);
    }
  }

 private:
  const std::byte* x_;   // [m, d]
  const int32_t* rows_;  // [count]
  int64_t count_;
  size_t row_bytes_;
  std::byte* y_;  // [count, d]
};

class ScatterRows final : public Kernel {
 public:
  ScatterRows(const float* x, int64_t elements, const int32_t* rows, const float* replacements,
              int64_t count, int64_t d, float* y)
      : x_(x),
        elements_(elements),
        rows_(rows),
        replacements_(replacements),
        count_(count),
        d_(d),
        y_(y) {}

  void run(const RunContext& /*context*/) override {
    copy_floats(x_, elements_, y_);
    for (int64_t i = 0; i < count_; ++i) {
      copy_floats(replacements_ + i * d_, d_, y_ + rows_[i] * d_);
    }
  }

 private:
  const float* x_;  // [m, d]
  int64_t elements_;
  const int32_t* rows_;        // [count]
  const float* replacements_;  // [count, d]
  int64_t count_;
  int64_t d_;
  float* y_;  // [m, d]
};

class ConcatRows final : public Kernel {
 public:
  ConcatRows(const float* x, int64_t x_elements, const float* second, int64_t second_elements,
             float* y)
      : x_(x), x_elements_(x_elements), second_(second), second_elements_(second_elements), y_(y) {}

  void run(const RunContext& /*context*/) override {
    copy_floats(x_, x_elements_, y_);
    copy_floats(second_, second_elements_, y_ + x_elements_);
  }

 private:
  const float* x_;
  int64_t x_elements_;
  const float* second_;
  int64_t second_elements_;
  float* y_;
};

}  // namespace

MadeKernel make_embed(const BoundStep& step, WeightCache& /*weights*/) {
  const ParameterRounding rounding =
      step.src_is_weight[0] ? ParameterRounding::kBf16 : ParameterRounding::kNone;
  return std::unique_ptr<Kernel>(
      std::make_unique<Embed>(step.srcs[0], rounding, index_source(step, 1),
                              step.srcs[1].shape.elements(), real_result(step)));
}

MadeKernel make_gather_rows(const BoundStep& step, WeightCache& weights) {
  const TensorView& y = step.dsts[0];
  const void* x = step.srcs[0].data;
  if (y.dtype == DType::kF32) {
    SINEW_ASSIGN(x, real_source(step, 0, weights));
  } else {
    SINEW_CHECK(step.srcs[0].dtype == y.dtype && !step.src_is_weight[0]);
  }
  const size_t row_bytes =
      static_cast<size_t>(row_length(step.srcs[0].shape)) * dtype_bytes(y.dtype);
  return std::unique_ptr<Kernel>(std::make_unique<GatherRows>(
      x, index_source(step, 1), step.srcs[1].shape.elements(), row_bytes, y.data));
}

MadeKernel make_scatter_rows(const BoundStep& step, WeightCache& weights) {
  const Shape& shape = step.srcs[0].shape;
  const int64_t count = step.srcs[1].shape.elements();
  SINEW_CHECK(step.srcs[2].shape.elements() == count * row_length(shape));
  SINEW_ASSIGN(const float* x, real_source(step, 0, weights));
  SINEW_ASSIGN(const float* replacements, real_source(step, 2, weights));
  return std::unique_ptr<Kernel>(
      std::make_unique<ScatterRows>(x, shape.elements(), index_source(step, 1), replacements, count,
                                    row_length(shape), real_result(step)));
}

MadeKernel make_concat_rows(const BoundStep& step, WeightCache& weights) {
  const int64_t first = step.srcs[0].shape.elements();
  const int64_t second = step.srcs[1].shape.elements();
  SINEW_CHECK(step.dsts[0].shape.elements() == first + second);
  SINEW_ASSIGN(const float* x, real_source(step, 0, weights));
  SINEW_ASSIGN(const float* y, real_source(step, 1, weights));
  return std::unique_ptr<Kernel>(
      std::make_unique<ConcatRows>(x, first, y, second, real_result(step)));
}

}  // namespace sinew::cpu
