// Row kernels without intrinsics: a pixel is the first three lanes of a vector of four, the fourth
// is the next pixel's and is overwritten. Compiled for any processor, and for AVX2.
#include "preprocess/image/row_kernels.h"

#include "base/instruction_sets.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sinew::preprocess {
namespace {

#define SINEW_INLINE inline __attribute__((always_inline))

inline constexpr int64_t kPixelLanes = 4;

template <class T>
struct PixelOf;

template <>
struct PixelOf<float> {
  using Type = float __attribute__((vector_size(kPixelLanes * sizeof(float))));
};

template <>
struct PixelOf<int32_t> {
  using Type = int32_t __attribute__((vector_size(kPixelLanes * sizeof(int32_t))));
};

// out [pixels, 3] = start + sum of weight * source pixel, tap by tap; `row` holds the source pixels
// from the first window on. kTaps: of every window, 0: as many as there are.
template <class T, int64_t kTaps>
SINEW_INLINE void weigh_pixels(const Columns<T>& columns, const T* row, T start, T* out) {
  using Pixel = typename PixelOf<T>::Type;
  const int64_t taps = kTaps > 0 ? kTaps : columns.taps;
  const int64_t base = columns.table.windows.front().first;
  const T* weight = columns.even.data();
  for (const auto& window : columns.table.windows) {
    const T* pixel = row + (window.first - base) * kChannels;
    Pixel sum = Pixel{} + start;
    for (int64_t i = 0; i < taps; ++i) {
      Pixel value;
      std::memcpy(&value, pixel + i * kChannels, sizeof(value));
      sum += value * weight[i];
    }
    std::memcpy(out, &sum, sizeof(sum));
    weight += taps;
    out += kChannels;
  }
}

// The same from bytes. Uses `row` for the source row as T.
template <class T>
SINEW_INLINE void weigh(const Columns<T>& columns, const uint8_t* src, T start, T* row, T* out) {
  const auto& windows = columns.table.windows;
  src += windows.front().first * kChannels;  // windows move to the right
  const int64_t values = (windows.back().end() - windows.front().first) * kChannels;
  for (int64_t i = 0; i < values; ++i) {
    row[i] = static_cast<T>(src[i]);
  }
  // Taps of weight 0 read beyond the last one.
  std::fill(row + values, row + values + columns.taps * kChannels + 1, T{});
  switch (columns.taps) {
    case 2:
      return weigh_pixels<T, 2>(columns, row, start, out);
    case 3:
      return weigh_pixels<T, 3>(columns, row, start, out);
    case 4:
      return weigh_pixels<T, 4>(columns, row, start, out);
    case 5:
      return weigh_pixels<T, 5>(columns, row, start, out);
    default:
      return weigh_pixels<T, 0>(columns, row, start, out);
  }
}

SINEW_INLINE void narrow(const Columns<float>& columns, const uint8_t* src, float* out,
                         std::byte* scratch) {
  weigh(columns, src, 0.0F, reinterpret_cast<float*>(scratch), out);
}

// Where `weigh` leaves sums that are not the result yet: scratch begins with them.
SINEW_INLINE int32_t* weigh_in_scratch(const Columns<int32_t>& columns, const uint8_t* src,
                                       int32_t start, std::byte* scratch) {
  auto* sums = reinterpret_cast<int32_t*>(scratch);
  weigh(columns, src, start, sums + columns.values() + kRowPadding, sums);
  return sums;
}

SINEW_INLINE void stretch(const Columns<int32_t>& columns, const uint8_t* src, int16_t* out,
                          std::byte* scratch) {
  const int32_t* sums = weigh_in_scratch(columns, src, 0, scratch);
  const int64_t values = columns.values();
  for (int64_t i = 0; i < values; ++i) {
    out[i] = static_cast<int16_t>(sums[i] >> 4);
  }
}

SINEW_INLINE void filter_columns(const Columns<int32_t>& columns, const uint8_t* src, uint8_t* dst,
                                 std::byte* scratch) {
  const int32_t* sums = weigh_in_scratch(columns, src, kFilterHalf, scratch);
  const int64_t values = columns.values();
  for (int64_t i = 0; i < values; ++i) {
    dst[i] = to_byte(sums[i] >> kFilterBits);
  }
}

// Values of a row whose sums are kept in registers.
inline constexpr int64_t kChunk = 32;

SINEW_INLINE void mean_chunk(const MeanOperands& o, int64_t first, int64_t count) {
  float sum[kChunk];
  size_t row = 0;
  if (o.before != nullptr) {
    std::copy_n(o.before + first, count, sum);
  } else {
    const float share = o.shares[0];
    const float* values = o.rows[0] + first;
    for (int64_t i = 0; i < count; ++i) {
      sum[i] = share * values[i];
    }
    row = 1;
  }
  for (; row < o.rows.size(); ++row) {
    const float share = o.shares[row];
    const float* values = o.rows[row] + first;
    for (int64_t i = 0; i < count; ++i) {
      sum[i] += share * values[i];
    }
  }
  if (o.sum != nullptr) {
    std::copy_n(sum, count, o.sum + first);
    return;
  }
  uint8_t* const dst = o.dst + first;
  for (int64_t i = 0; i < count; ++i) {
    dst[i] = round_to_byte(sum[i]);
  }
}

// Calls body(first, count) for the chunks of a row; whole ones with a constant count.
template <class Body>
SINEW_INLINE void for_chunks(int64_t values, const Body& body) {
  int64_t first = 0;
  for (; first + kChunk <= values; first += kChunk) {
    body(first, kChunk);
  }
  if (first < values) {
    body(first, values - first);
  }
}

SINEW_INLINE void mean(const MeanOperands& o) {
  for_chunks(
      o.values, [&](int64_t first, int64_t count)
                    __attribute__((always_inline)) { mean_chunk(o, first, count); });
}

SINEW_INLINE void blend(const int16_t* near, const int16_t* far, std::span<const int32_t> weights,
                        int64_t values, uint8_t* dst) {
  const auto near_weight = static_cast<int16_t>(weights[0]);
  const auto far_weight = static_cast<int16_t>(weights[1]);
  for (int64_t i = 0; i < values; ++i) {
    const auto a = static_cast<int16_t>((int32_t{near_weight} * near[i]) >> 16);
    const auto b = static_cast<int16_t>((int32_t{far_weight} * far[i]) >> 16);
    dst[i] = to_byte((a + b + 2) >> 2);
  }
}

SINEW_INLINE void filter_rows(const RowSpan& src, std::span<const int32_t> weights, int64_t values,
                              uint8_t* dst) {
  for_chunks(
      values, [&](int64_t first, int64_t count) __attribute__((always_inline)) {
        int32_t sum[kChunk];
        for (int64_t i = 0; i < count; ++i) {
          sum[i] = kFilterHalf;
        }
        const uint8_t* row = src.first + first;
        for (const int32_t weight : weights) {
          for (int64_t i = 0; i < count; ++i) {
            sum[i] += row[i] * weight;
          }
          row += src.row_bytes;
        }
        for (int64_t i = 0; i < count; ++i) {
          dst[first + i] = to_byte(sum[i] >> kFilterBits);
        }
      });
}

// One implementation: the functions above, compiled for `target`.
// NOLINTBEGIN(bugprone-macro-parentheses): names and attributes cannot have any
#define SINEW_ROW_KERNELS(kernels, label, target)                                                \
  struct kernels {                                                                               \
    target static void narrow_row(const Columns<float>& columns, const uint8_t* src, float* out, \
                                  std::byte* scratch) {                                          \
      narrow(columns, src, out, scratch);                                                        \
    }                                                                                            \
    target static void stretch_row(const Columns<int32_t>& columns, const uint8_t* src,          \
                                   int16_t* out, std::byte* scratch) {                           \
      stretch(columns, src, out, scratch);                                                       \
    }                                                                                            \
    target static void filter_row(const Columns<int32_t>& columns, const uint8_t* src,           \
                                  uint8_t* dst, std::byte* scratch) {                            \
      filter_columns(columns, src, dst, scratch);                                                \
    }                                                                                            \
    target static void mean_of_rows(const MeanOperands& operands) { mean(operands); }            \
    target static void blend_rows(const int16_t* near, const int16_t* far,                       \
                                  std::span<const int32_t> weights, int64_t values,              \
                                  uint8_t* dst) {                                                \
      blend(near, far, weights, values, dst);                                                    \
    }                                                                                            \
    target static void filter_of_rows(const RowSpan& src, std::span<const int32_t> weights,      \
                                      int64_t values, uint8_t* dst) {                            \
      filter_rows(src, weights, values, dst);                                                    \
    }                                                                                            \
    static constexpr RowKernels kTable = {.name = label,                                         \
                                          .narrow = narrow_row,                                  \
                                          .stretch = stretch_row,                                \
                                          .filter_columns = filter_row,                          \
                                          .mean = mean_of_rows,                                  \
                                          .blend = blend_rows,                                   \
                                          .filter_rows = filter_of_rows};                        \
  }
// NOLINTEND(bugprone-macro-parentheses)

SINEW_ROW_KERNELS(AnyProcessor, "any", );
#if defined(SINEW_X86_TARGETS)
SINEW_ROW_KERNELS(Avx2, "avx2", __attribute__((target("avx2"))));
#endif

struct Available {
  std::array<const RowKernels*, 3> kernels{};
  size_t count = 0;

  void add(const RowKernels& kernel) { kernels[count++] = &kernel; }
};

Available find_available() {
  Available found;
#if defined(SINEW_X86_TARGETS)
  if (instruction_sets().avx512_bytes) {
    found.add(kAvx512RowKernels);
  }
  if (instruction_sets().avx2_fma) {
    found.add(Avx2::kTable);
  }
#endif
  found.add(AnyProcessor::kTable);
  return found;
}

}  // namespace

std::span<const RowKernels* const> row_kernels() {
  static const Available found = find_available();
  return std::span(found.kernels).first(found.count);
}

}  // namespace sinew::preprocess
