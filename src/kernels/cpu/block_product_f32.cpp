// Block products in f32, for AVX-512, AVX2 and any other processor. This file is compiled with
// contraction on: a multiply-add is one rounding where the processor has the instruction.
#include "base/instruction_sets.h"
#include "kernels/cpu/block_product.h"
#include "kernels/cpu/block_product_rows.h"

#include <algorithm>
#include <array>

namespace sinew::cpu {
namespace {

// 16 floats in whatever registers the processor has.
using Lanes = float
    __attribute__((vector_size(kPanelColumns * sizeof(float)), aligned(alignof(float)), may_alias));

// How far ahead of the sums panels are fetched into the first-level cache, in depths.
constexpr int64_t kPrefetchDepths = 24;

// Which depths of the panels that come next a tile of rows fetches into the second-level cache:
// together the tiles of one group of panels fetch the next group, evenly, since all of it at
// once would wait for memory.
class Fetch {
 public:
  Fetch(int64_t tile, int64_t tiles)
      : period_(std::min(tiles, kMost)),
        countdown_(tiles < kLeast || tile >= period_ ? -1 : tile) {}

  // Called for consecutive depths: is this one to be fetched?
  inline __attribute__((always_inline)) bool wants_next() {
    if (countdown_ != 0) {
      --countdown_;
      return false;
    }
    countdown_ = period_ - 1;
    return true;
  }

 private:
  static constexpr int64_t kLeast = 4;  // fewer tiles hardly compute longer than memory delivers
  static constexpr int64_t kMost = 16;

  int64_t period_;
  int64_t countdown_;  // negative: never
};

// Depths summed in one go (kF32DepthPiece).
struct Depths {
  int64_t first;
  int64_t end;
};

// out[r, 0..16 kPanels) = sum over the depths of x[r, i] panel[i, ...], kRows rows held in
// registers; added to what is there behind the first depths.
template <int kRows, int kPanels, bool kIsTiled>
inline __attribute__((always_inline)) void tile(const BlockOperands<float>& o, int64_t first_row,
                                                int64_t first_panel, Depths depths, Fetch fetch) {
  const float* x = o.x + first_row * o.ldx;
  const int64_t row_stride = kIsTiled ? 1 : o.ldx;
  constexpr int64_t kDepthStride = kIsTiled ? kRows : 1;
  const float* panel = o.panels + first_panel * o.panel_stride;
  float* out = o.out + first_row * o.ldout + first_panel * kPanelColumns;
  Lanes sums[kRows][kPanels] = {};
  if (depths.first > 0) {
    for (int r = 0; r < kRows; ++r) {
      for (int p = 0; p < kPanels; ++p) {
        sums[r][p] = *reinterpret_cast<const Lanes*>(out + r * o.ldout + p * kPanelColumns);
      }
    }
  }
  for (int64_t i = depths.first; i < depths.end; ++i) {
    if (fetch.wants_next()) {
      for (int p = kPanels; p < 2 * kPanels; ++p) {
        __builtin_prefetch(panel + p * o.panel_stride + i * kPanelColumns, 0, 2);
      }
    }
    Lanes w[kPanels];
    for (int p = 0; p < kPanels; ++p) {
      const float* row = panel + p * o.panel_stride + i * kPanelColumns;
      __builtin_prefetch(row + kPrefetchDepths * kPanelColumns);
      w[p] = *reinterpret_cast<const Lanes*>(row);
    }
    for (int r = 0; r < kRows; ++r) {
      const float factor = x[r * row_stride + i * kDepthStride];
      for (int p = 0; p < kPanels; ++p) {
        sums[r][p] += factor * w[p];
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      *reinterpret_cast<Lanes*>(out + r * o.ldout + p * kPanelColumns) = sums[r][p];
    }
  }
}

// kPanels panels, all rows: the panels stay in the second-level cache meanwhile.
template <int kMaxRows, int kPanels, bool kIsTiled>
inline __attribute__((always_inline)) void group(const BlockOperands<float>& o, int64_t panel,
                                                 Depths depths) {
  const int64_t tiles = o.is_cold ? RowTiles(o.rows, kMaxRows).count : 0;
  int64_t index = 0;
  for_row_tiles<kMaxRows>(
      o.rows, [&]<int kRows>(int64_t row) __attribute__((always_inline)) {
        tile<kRows, kPanels, kIsTiled>(o, row, panel, depths, Fetch(index++, tiles));
      });
}

template <int kMaxRows, int kMaxPanels, bool kIsTiled>
inline __attribute__((always_inline)) void groups(const BlockOperands<float>& o) {
  const int64_t pieces = (o.depth + kF32DepthPiece - 1) / kF32DepthPiece;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const Depths depths{piece * o.depth / pieces, (piece + 1) * o.depth / pieces};
    int64_t panel = 0;
    for (; panel + kMaxPanels <= o.panel_count; panel += kMaxPanels) {
      group<kMaxRows, kMaxPanels, kIsTiled>(o, panel, depths);
    }
    for (; panel < o.panel_count; ++panel) {
      group<kMaxRows, 1, kIsTiled>(o, panel, depths);
    }
  }
}

template <int kMaxRows, int kMaxPanels>
inline __attribute__((always_inline)) void block(const BlockOperands<float>& o) {
  if (o.is_tiled) {
    groups<kMaxRows, kMaxPanels, true>(o);
  } else {
    groups<kMaxRows, kMaxPanels, false>(o);
  }
}

constexpr int kAvx512Rows = 14;
constexpr int kAvx2Rows = 6;
constexpr int kAnyRows = 4;

#if defined(SINEW_X86_TARGETS)
__attribute__((target("avx512f,fma"))) void run_avx512(const BlockOperands<float>& o) {
  block<kAvx512Rows, 2>(o);
}

__attribute__((target("avx2,fma"))) void run_avx2(const BlockOperands<float>& o) {
  block<kAvx2Rows, 1>(o);
}
#endif

void run_any(const BlockOperands<float>& o) {
  block<kAnyRows, 1>(o);
}

Available<float> find_available() {
  Available<float> available;
#if defined(SINEW_X86_TARGETS)
  const InstructionSets& has = instruction_sets();
  if (has.avx512f) {
    available.add({"avx512", run_avx512, kAvx512Rows});
  }
  if (has.avx2_fma) {
    available.add({"avx2", run_avx2, kAvx2Rows});
  }
#endif
  available.add({"any", run_any, kAnyRows});
  return available;
}

}  // namespace

const BlockProduct<float>* f32_block_products(int* count) {
  static const Available<float> available = find_available();
  *count = available.count;
  return available.products.data();
}

const BlockProduct<float>& f32_block_product() {
  int count = 0;
  return *f32_block_products(&count);
}

}  // namespace sinew::cpu
