// The inner loops of preprocessing, each over one row: several implementations, one for each kind
// of vector unit, with equal results. All of them do the operations that spec/preprocessing.md
// writes down, in its order where they are in f32. Private to this folder.
#pragma once

#include "preprocess/image/row_tables.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sinew::preprocess {

// Rows of floats or integers that kernels write may be written up to here beyond their last value.
inline constexpr int64_t kRowPadding = 16;

// Most rows that `mean` takes at a time.
inline constexpr int64_t kMeanRows = 8;

// u8 rows `row_bytes` apart.
struct RowSpan {
  const uint8_t* first = nullptr;
  int64_t row_bytes = 0;
};

struct MeanOperands {
  std::span<const float* const> rows;  // at most kMeanRows
  const float* shares = nullptr;       // one a row
  const float* before = nullptr;       // the sum so far; null: there is none, and rows has one
  int64_t values = 0;
  float* sum = nullptr;    // where the sum goes; may be `before`
  uint8_t* dst = nullptr;  // or, if `sum` is null, the sum rounded half to even and saturated
};

struct RowKernels {
  std::string_view name;
  bool uses_blocks = false;  // the first three read Columns::blocks, which are not empty, and no
                             // scratch; otherwise the table

  // Bytes that the first three may use as scratch.
  template <class Weight>
  static size_t scratch_bytes(const Columns<Weight>& columns) {
    const int64_t source_width = columns.table.windows.back().end() + columns.taps;
    return static_cast<size_t>(source_width * kChannels + columns.values() + 2 * kRowPadding) *
           sizeof(float);
  }

  // Section 1.1 (b), horizontally: out[i] = sum of share * value, in table order.
  void (*narrow)(const Columns<float>& columns, const uint8_t* src, float* out, std::byte* scratch);
  // Section 1.2, horizontally: out[i] = (sum of weight * value) >> 4, at most 2049 * 255 / 16.
  void (*stretch)(const Columns<int32_t>& columns, const uint8_t* src, int16_t* out,
                  std::byte* scratch);
  // Section 2.1, horizontally.
  void (*filter_columns)(const Columns<int32_t>& columns, const uint8_t* src, uint8_t* dst,
                         std::byte* scratch);

  // Section 1.1 (b), vertically: before + sum of share * row, row by row.
  void (*mean)(const MeanOperands& operands);
  // Section 1.2, vertically: dst[i] of two rows that `stretch` made; the weights are those of the
  // rows, 0 to 2048.
  void (*blend)(const int16_t* near, const int16_t* far, std::span<const int32_t> weights,
                int64_t values, uint8_t* dst);
  // Section 2.1, vertically: weights, one a row from src.first on.
  void (*filter_rows)(const RowSpan& src, std::span<const int32_t> weights, int64_t values,
                      uint8_t* dst);
};

inline uint8_t to_byte(int32_t value) {
  return static_cast<uint8_t>(value < 0 ? 0 : (value > 255 ? 255 : value));
}

// Round half to even and saturate. Adding and taking away 1.5 * 2^23 leaves no fraction bits, so
// the adder rounds as rint does, and unlike rint the compiler can vectorise it. |value| < 2^22.
inline uint8_t round_to_byte(float value) {
  constexpr float kNoFraction = 12582912.0F;
  return to_byte(static_cast<int32_t>((value + kNoFraction) - kNoFraction));
}

// Pillow's weights are in units of 2^-22.
inline constexpr int kFilterBits = 22;
inline constexpr int32_t kFilterHalf = 1 << (kFilterBits - 1);

// Those that this processor can run, fastest first; the last one runs anywhere.
std::span<const RowKernels* const> row_kernels();

#if defined(__x86_64__) && defined(__linux__)
extern const RowKernels kAvx512RowKernels;
#endif

}  // namespace sinew::preprocess
