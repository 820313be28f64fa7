// Row kernels for processors that permute bytes and multiply them with sums (AVX-512 VBMI and
// VNNI): a block of 16 values of a row is one register, whose source bytes one permutation finds.
#include "base/instruction_sets.h"
#include "preprocess/image/row_kernels.h"

#if defined(SINEW_X86_TARGETS)

#if defined(__GNUC__) && !defined(__clang__)
// Intrinsics begin with registers that are undefined on purpose, which g++ 12 takes for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace sinew::preprocess {
namespace {

#define SINEW_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")))
#define SINEW_AVX512_LAMBDA \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni"), always_inline))
#define SINEW_AVX512_INLINE \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni"), always_inline)) inline

constexpr int64_t kLanes = 16;      // 32-bit words of a register
constexpr int64_t kBytes = 64;      // bytes of one
constexpr int64_t kHalfWords = 32;  // 16-bit words of one

SINEW_AVX512_INLINE __m512i load(const void* from) {
  return _mm512_loadu_si512(from);
}

// The first `count` of `lanes` lanes.
template <class Mask>
constexpr Mask first_lanes(int64_t count, int64_t lanes) {
  return count >= lanes ? static_cast<Mask>(~Mask{0}) : static_cast<Mask>((Mask{1} << count) - 1);
}

// Calls body(block, its lines) for all blocks of a group.
template <int64_t kSteps, int64_t kStepLines, class Body>
SINEW_AVX512_INLINE void for_blocks(const LaneBlocks::Group& group, const Body& body) {
  const int64_t steps = kSteps > 0 ? kSteps : group.steps;
  const Line* line = group.lines.data();
  for (const LaneBlocks::Block& block : group.blocks) {
    body(block, line, steps);
    line += kStepLines * steps;
  }
}

// The same for all groups, with the number of steps known to the compiler where it is small.
template <int64_t kStepLines, class Body>
SINEW_AVX512_INLINE void for_all_blocks(const LaneBlocks& blocks, const Body& body) {
  for (const LaneBlocks::Group& group : blocks.groups) {
    switch (group.steps) {
      case 1:
        for_blocks<1, kStepLines>(group, body);
        break;
      case 2:
        for_blocks<2, kStepLines>(group, body);
        break;
      case 3:
        for_blocks<3, kStepLines>(group, body);
        break;
      default:
        for_blocks<0, kStepLines>(group, body);
    }
  }
}

SINEW_AVX512 void narrow(const Columns<float>& columns, const uint8_t* src, float* out,
                         std::byte* /*scratch*/) {
  constexpr __mmask64 kLowBytes = 0x1111111111111111;  // of each 32-bit word
  for_all_blocks<lines_of(StepKind::kTap32)>(
      columns.blocks,
      [=](const LaneBlocks::Block& block, const Line* line, int64_t steps) SINEW_AVX512_LAMBDA {
        const __m512i bytes = load(src + block.source);
        __m512 sum = _mm512_setzero_ps();
        for (int64_t step = 0; step < steps; ++step, line += 2) {
          const __m512i levels = _mm512_maskz_permutexvar_epi8(kLowBytes, load(line), bytes);
          const __m512 weights = _mm512_loadu_ps(line + 1);
          sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_cvtepi32_ps(levels), weights));
        }
        _mm512_storeu_ps(out + block.destination, sum);
      });
}

SINEW_AVX512 void stretch(const Columns<int32_t>& columns, const uint8_t* src, int16_t* out,
                          std::byte* /*scratch*/) {
  constexpr __mmask64 kEvenBytes = 0x5555555555555555;
  // A window of two taps is one step.
  for_all_blocks<lines_of(StepKind::kTaps16)>(
      columns.blocks,
      [=](const LaneBlocks::Block& block, const Line* line, int64_t) SINEW_AVX512_LAMBDA {
        const __m512i pairs =
            _mm512_maskz_permutexvar_epi8(kEvenBytes, load(line), load(src + block.source));
        const __m512i sums = _mm512_srli_epi32(_mm512_madd_epi16(pairs, load(line + 1)), 4);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + block.destination),
                            _mm512_cvtepi32_epi16(sums));
      });
}

// 65536 high + 256 middle + low, without what is below the fraction bits.
SINEW_AVX512_INLINE __m512i joined(__m512i low, __m512i middle, __m512i high) {
  const __m512i upper = _mm512_slli_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, 8), middle), 8);
  return _mm512_srai_epi32(_mm512_add_epi32(upper, low), kFilterBits);
}

SINEW_AVX512 void filter_columns(const Columns<int32_t>& columns, const uint8_t* src, uint8_t* dst,
                                 std::byte* /*scratch*/) {
  for_all_blocks<lines_of(StepKind::kTaps8)>(
      columns.blocks,
      [=](const LaneBlocks::Block& block, const Line* line, int64_t steps) SINEW_AVX512_LAMBDA {
        const __m512i bytes = load(src + block.source);
        __m512i low = _mm512_set1_epi32(kFilterHalf);
        __m512i middle = _mm512_setzero_si512();
        __m512i high = _mm512_setzero_si512();
        for (int64_t step = 0; step < steps; ++step, line += 4) {
          const __m512i taps = _mm512_permutexvar_epi8(load(line), bytes);
          low = _mm512_dpbusd_epi32(low, taps, load(line + 1));
          middle = _mm512_dpbusd_epi32(middle, taps, load(line + 2));
          high = _mm512_dpbusd_epi32(high, taps, load(line + 3));
        }
        const __m512i sums = _mm512_max_epi32(joined(low, middle, high), _mm512_setzero_si512());
        _mm_mask_storeu_epi8(dst + block.destination,
                             first_lanes<__mmask16>(block.values, kBlockValues),
                             _mm512_cvtusepi32_epi8(sums));
      });
}

SINEW_AVX512_INLINE void mean_lanes(const MeanOperands& o, int64_t first, int64_t count) {
  const auto mask = first_lanes<__mmask16>(count, kLanes);
  __m512 sum;
  size_t row = 0;
  if (o.before != nullptr) {
    sum = _mm512_maskz_loadu_ps(mask, o.before + first);
  } else {
    sum =
        _mm512_mul_ps(_mm512_set1_ps(o.shares[0]), _mm512_maskz_loadu_ps(mask, o.rows[0] + first));
    row = 1;
  }
  for (; row < o.rows.size(); ++row) {
    const __m512 values = _mm512_maskz_loadu_ps(mask, o.rows[row] + first);
    sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_set1_ps(o.shares[row]), values));
  }
  if (o.sum != nullptr) {
    _mm512_mask_storeu_ps(o.sum + first, mask, sum);
    return;
  }
  const __m512i levels =
      _mm512_max_epi32(_mm512_cvt_roundps_epi32(sum, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                       _mm512_setzero_si512());
  _mm_mask_storeu_epi8(o.dst + first, mask, _mm512_cvtusepi32_epi8(levels));
}

SINEW_AVX512 void mean(const MeanOperands& o) {
  int64_t first = 0;
  for (; first + kLanes <= o.values; first += kLanes) {
    mean_lanes(o, first, kLanes);
  }
  if (first < o.values) {
    mean_lanes(o, first, o.values - first);
  }
}

SINEW_AVX512 void blend(const int16_t* near, const int16_t* far, std::span<const int32_t> weights,
                        int64_t values, uint8_t* dst) {
  const __m512i near_weight = _mm512_set1_epi16(static_cast<int16_t>(weights[0]));
  const __m512i far_weight = _mm512_set1_epi16(static_cast<int16_t>(weights[1]));
  const __m512i two = _mm512_set1_epi16(2);
  for (int64_t first = 0; first < values; first += kHalfWords) {
    const auto mask = first_lanes<__mmask32>(values - first, kHalfWords);
    const __m512i a = _mm512_mulhi_epi16(_mm512_maskz_loadu_epi16(mask, near + first), near_weight);
    const __m512i b = _mm512_mulhi_epi16(_mm512_maskz_loadu_epi16(mask, far + first), far_weight);
    const __m512i sum = _mm512_add_epi16(_mm512_add_epi16(a, b), two);
    // No sum is negative.
    _mm256_mask_storeu_epi8(dst + first, mask, _mm512_cvtusepi16_epi8(_mm512_srli_epi16(sum, 2)));
  }
}

constexpr int64_t kQuadRows = 4;

// Weights of four rows, each split over three bytes with a sign, repeated in all lanes.
struct RowQuad {
  __m512i low, middle, high;
};

SINEW_AVX512_INLINE RowQuad split_quad(const int32_t* weights, int64_t count) {
  std::array<int8_t, 4> low{};
  std::array<int8_t, 4> middle{};
  std::array<int8_t, 4> high{};
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const ByteWeight parts = split_weight(weights[i]);
    low[i] = parts.low;
    middle[i] = parts.middle;
    high[i] = parts.high;
  }
  const auto repeated = [](const std::array<int8_t, 4>& bytes) SINEW_AVX512 {
    int32_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof(word));
    return _mm512_set1_epi32(word);
  };
  return {repeated(low), repeated(middle), repeated(high)};
}

// Sums of 64 values, in the order in which bytes of four rows are interleaved.
struct RowSums {
  __m512i low[4];
  __m512i middle[4];
  __m512i high[4];
};

SINEW_AVX512_INLINE void add_quad(const __m512i (&rows)[kQuadRows], const RowQuad& quad,
                                  RowSums& sums) {
  const __m512i left01 = _mm512_unpacklo_epi8(rows[0], rows[1]);
  const __m512i right01 = _mm512_unpackhi_epi8(rows[0], rows[1]);
  const __m512i left23 = _mm512_unpacklo_epi8(rows[2], rows[3]);
  const __m512i right23 = _mm512_unpackhi_epi8(rows[2], rows[3]);
  const __m512i taps[4] = {
      _mm512_unpacklo_epi16(left01, left23), _mm512_unpackhi_epi16(left01, left23),
      _mm512_unpacklo_epi16(right01, right23), _mm512_unpackhi_epi16(right01, right23)};
  for (size_t i = 0; i < 4; ++i) {
    sums.low[i] = _mm512_dpbusd_epi32(sums.low[i], taps[i], quad.low);
    sums.middle[i] = _mm512_dpbusd_epi32(sums.middle[i], taps[i], quad.middle);
    sums.high[i] = _mm512_dpbusd_epi32(sums.high[i], taps[i], quad.high);
  }
}

constexpr int64_t kMaxQuads = 8;

SINEW_AVX512_INLINE void filter_chunk(const RowSpan& src, int64_t rows,
                                      std::span<const RowQuad> quads, __mmask64 mask, int64_t first,
                                      uint8_t* dst) {
  RowSums sums{};
  for (size_t i = 0; i < 4; ++i) {
    sums.low[i] = _mm512_set1_epi32(kFilterHalf);
    sums.middle[i] = _mm512_setzero_si512();
    sums.high[i] = _mm512_setzero_si512();
  }
  int64_t row = 0;
  for (const RowQuad& quad : quads) {
    __m512i bytes[kQuadRows];
    for (__m512i& line : bytes) {
      // Rows beyond the last have weight 0.
      const uint8_t* from = src.first + std::min(row, rows - 1) * src.row_bytes + first;
      line = _mm512_maskz_loadu_epi8(mask, from);
      ++row;
    }
    add_quad(bytes, quad, sums);
  }
  __m512i levels[4];
  for (size_t i = 0; i < 4; ++i) {
    levels[i] = joined(sums.low[i], sums.middle[i], sums.high[i]);
  }
  // The two packings undo the interleaving, and saturate.
  const __m512i packed = _mm512_packus_epi16(_mm512_packs_epi32(levels[0], levels[1]),
                                             _mm512_packs_epi32(levels[2], levels[3]));
  _mm512_mask_storeu_epi8(dst + first, mask, packed);
}

SINEW_AVX512 void filter_rows(const RowSpan& src, std::span<const int32_t> weights, int64_t values,
                              uint8_t* dst) {
  const auto rows = std::ssize(weights);
  if (rows > kQuadRows * kMaxQuads) {
    row_kernels().back()->filter_rows(src, weights, values, dst);
    return;
  }
  std::array<RowQuad, kMaxQuads> storage{};
  const int64_t count = (rows + kQuadRows - 1) / kQuadRows;
  for (int64_t i = 0; i < count; ++i) {
    storage[static_cast<size_t>(i)] =
        split_quad(weights.data() + kQuadRows * i, std::min(kQuadRows, rows - kQuadRows * i));
  }
  const auto quads = std::span<const RowQuad>(storage).first(static_cast<size_t>(count));
  for (int64_t first = 0; first < values; first += kBytes) {
    filter_chunk(src, rows, quads, first_lanes<__mmask64>(values - first, kBytes), first, dst);
  }
}

}  // namespace

constexpr RowKernels kAvx512RowKernels = {.name = "avx512",
                                          .uses_blocks = true,
                                          .narrow = narrow,
                                          .stretch = stretch,
                                          .filter_columns = filter_columns,
                                          .mean = mean,
                                          .blend = blend,
                                          .filter_rows = filter_rows};

}  // namespace sinew::preprocess

#endif
