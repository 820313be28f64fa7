#include "kernels/cpu/packed_matrix.h"

#include "base/check.h"
#include "kernels/cpu/block_product.h"
#include "tensor/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

namespace sinew::cpu {
namespace {

// Depths converted at a time: 16 columns of them stay in the first-level cache.
constexpr int64_t kDepthPiece = 256;

// Elements [first, first + count) of a stored parameter, as a view.
ConstTensorView elements_of(const ConstTensorView& weight, int64_t first, int64_t count) {
  const auto* data = static_cast<const std::byte*>(weight.data);
  return {data + static_cast<size_t>(first) * dtype_bytes(weight.dtype), weight.dtype, {count}};
}

// Columns [first, first + columns) of depths [depth, depth + count), as piece[column][i].
using Piece = std::array<std::array<float, kDepthPiece>, kPanelColumns>;

void read_piece(const ConstTensorView& weight, bool weights_in_out, const PackedMatrix& matrix,
                int64_t first, int64_t depth, int64_t count, Piece& piece) {
  const int64_t columns = std::min(kPanelColumns, matrix.outputs - first);
  if (weights_in_out) {
    std::array<float, kPanelColumns> row{};
    for (int64_t i = 0; i < count; ++i) {
      convert_to_f32(elements_of(weight, (depth + i) * matrix.outputs + first, columns),
                     std::span(row).first(static_cast<size_t>(columns)), ParameterRounding::kBf16);
      for (size_t c = 0; c < row.size(); ++c) {
        piece[c][static_cast<size_t>(i)] = row[c];
      }
    }
    return;
  }
  for (int64_t c = 0; c < columns; ++c) {
    auto& column = piece[static_cast<size_t>(c)];
    convert_to_f32(elements_of(weight, (first + c) * matrix.inputs + depth, count),
                   std::span(column).first(static_cast<size_t>(count)), ParameterRounding::kBf16);
  }
}

void write_f32(const Piece& piece, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < piece.size(); ++c) {
      to[i * kPanelColumns + static_cast<int64_t>(c)] = piece[c][static_cast<size_t>(i)];
    }
  }
}

// Exact: every value was rounded to bf16 when it was read.
uint32_t bf16_bits(float x) {
  return std::bit_cast<uint32_t>(x) >> 16;
}

void write_bf16(const Piece& piece, int64_t count, uint32_t* to) {
  for (int64_t i = 0; i < count; i += 2) {
    const auto at = static_cast<size_t>(i);
    for (size_t c = 0; c < piece.size(); ++c) {
      const uint32_t odd = i + 1 < count ? bf16_bits(piece[c][at + 1]) : 0;
      to[i / 2 * kPanelColumns + static_cast<int64_t>(c)] = bf16_bits(piece[c][at]) | odd << 16;
    }
  }
}

void pack_panel(const ConstTensorView& weight, bool weights_in_out, const PackedMatrix& matrix,
                int64_t panel, std::byte* panels) {
  const int64_t offset = panel * matrix.panel_elements();
  const bool is_bf16 = matrix.dtype == DType::kBf16;
  auto* floats = reinterpret_cast<float*>(panels) + offset;
  auto* pairs = reinterpret_cast<uint32_t*>(panels) + offset / 2;
  Piece piece{};  // columns beyond the last stay zero
  for (int64_t depth = 0; depth < matrix.inputs; depth += kDepthPiece) {
    const int64_t count = std::min(kDepthPiece, matrix.inputs - depth);
    read_piece(weight, weights_in_out, matrix, panel * kPanelColumns, depth, count, piece);
    if (is_bf16) {
      write_bf16(piece, count, pairs + depth / 2 * kPanelColumns);
    } else {
      write_f32(piece, count, floats + depth * kPanelColumns);
    }
  }
  if (is_bf16) {
    const int64_t written = (matrix.inputs + 1) / 2 * kPanelColumns;
    std::fill(pairs + written, pairs + matrix.panel_elements() / 2, 0U);
  }
}

}  // namespace

int64_t PackedMatrix::panel_count() const {
  return (outputs + kPanelColumns - 1) / kPanelColumns;
}

int64_t PackedMatrix::panel_elements() const {
  const int64_t depth = dtype == DType::kBf16
                            ? (inputs + kBf16DepthStep - 1) / kBf16DepthStep * kBf16DepthStep
                            : inputs;
  return depth * kPanelColumns;
}

size_t PackedMatrix::bytes() const {
  return static_cast<size_t>(panel_count() * panel_elements()) * dtype_bytes(dtype);
}

void pack_matrix(const ConstTensorView& weight, bool weights_in_out, const PackedMatrix& matrix,
                 std::byte* panels, ThreadPool& pool) {
  SINEW_CHECK(matrix.inputs > 0 && matrix.outputs > 0);
  SINEW_CHECK(weight.shape.elements() == matrix.inputs * matrix.outputs);
  SINEW_CHECK(matrix.dtype == DType::kF32 || matrix.dtype == DType::kBf16);
  pool.run(matrix.panel_count(), [&](int64_t panel, int /*thread*/) {
    pack_panel(weight, weights_in_out, matrix, panel, panels);
  });
}

}  // namespace sinew::cpu
