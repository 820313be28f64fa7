// Block products of bf16 operands with f32 sums: AMX tiles, AVX-512 BF16 dot products, and widening
// to f32 elsewhere. Compiled with contraction on, like block_product_f32.cpp.
#include "kernels/cpu/block_product.h"
#include "kernels/cpu/block_product_rows.h"
#include "kernels/cpu/instruction_sets.h"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(SINEW_X86_TARGETS)
#include <immintrin.h>
#endif

namespace sinew::cpu {
namespace {

using Operands = BlockOperands<Bf16>;

// The pair (x[i], x[i + 1]) of a row as it lies in memory.
inline uint32_t pair_at(const Bf16* x) {
  uint32_t pair = 0;
  std::memcpy(&pair, x, sizeof(pair));
  return pair;
}

// ---- any processor: a bf16 is the upper half of an f32 ----

using Lanes = float __attribute__((vector_size(kPanelColumns * sizeof(float)), may_alias));
using Words = uint32_t __attribute__((vector_size(kPanelColumns * sizeof(uint32_t)),
                                      aligned(alignof(Bf16)), may_alias));

template <int kRows>
inline __attribute__((always_inline)) void widened_tile(const Operands& o, int64_t first_row,
                                                        int64_t first_panel) {
  const Bf16* x = o.x + first_row * o.ldx;
  const Bf16* panel = o.panels + first_panel * o.panel_stride;
  Lanes sums[kRows] = {};
  for (int64_t i = 0; i < o.depth; i += 2) {
    const Words pairs = *reinterpret_cast<const Words*>(panel + i * kPanelColumns);
    const Lanes even = reinterpret_cast<Lanes>(pairs << 16);
    const Lanes odd = reinterpret_cast<Lanes>(pairs & 0xffff0000U);
    for (int r = 0; r < kRows; ++r) {
      sums[r] += to_float(x[r * o.ldx + i]) * even;
      sums[r] += to_float(x[r * o.ldx + i + 1]) * odd;
    }
  }
  float* out = o.out + first_row * o.ldout + first_panel * kPanelColumns;
  for (int r = 0; r < kRows; ++r) {
    std::memcpy(out + r * o.ldout, &sums[r], sizeof(Lanes));
  }
}

template <int kMaxRows>
inline __attribute__((always_inline)) void widened_block(const Operands& o) {
  for_row_tiles<kMaxRows>(
      o.rows, [&]<int kRows>(int64_t row) __attribute__((always_inline)) {
        for (int64_t panel = 0; panel < o.panel_count; ++panel) {
          widened_tile<kRows>(o, row, panel);
        }
      });
}

void run_any(const Operands& o) {
  widened_block<4>(o);
}

#if defined(SINEW_X86_TARGETS)

__attribute__((target("avx2,fma"))) void run_avx2(const Operands& o) {
  widened_block<4>(o);
}

__attribute__((target("avx512f,fma"))) void run_avx512(const Operands& o) {
  widened_block<12>(o);
}

// ---- AVX-512 BF16: a dot product of pairs in each of 16 lanes ----

#define SINEW_BF16_TARGET "avx512f,avx512bw,avx512vl,avx512bf16"

template <int kRows, int kPanels>
__attribute__((target(SINEW_BF16_TARGET), always_inline)) inline void dot_tile(
    const Operands& o, int64_t first_row, int64_t first_panel) {
  const Bf16* x = o.x + first_row * o.ldx;
  const Bf16* panel = o.panels + first_panel * o.panel_stride;
  __m512 sums[kRows][kPanels];
  for (auto& row : sums) {
    for (__m512& sum : row) {
      sum = _mm512_setzero_ps();
    }
  }
  for (int64_t i = 0; i < o.depth; i += 2) {
    __m512bh w[kPanels];
    for (int p = 0; p < kPanels; ++p) {
      w[p] = reinterpret_cast<__m512bh>(
          _mm512_loadu_si512(panel + p * o.panel_stride + i * kPanelColumns));
    }
    for (int r = 0; r < kRows; ++r) {
      const auto factor = reinterpret_cast<__m512bh>(
          _mm512_set1_epi32(static_cast<int>(pair_at(x + r * o.ldx + i))));
      for (int p = 0; p < kPanels; ++p) {
        sums[r][p] = _mm512_dpbf16_ps(sums[r][p], factor, w[p]);
      }
    }
  }
  float* out = o.out + first_row * o.ldout + first_panel * kPanelColumns;
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      _mm512_storeu_ps(out + r * o.ldout + p * kPanelColumns, sums[r][p]);
    }
  }
}

template <int kRows>
__attribute__((target(SINEW_BF16_TARGET))) void dot_rows(const Operands& o, int64_t row) {
  constexpr int kPanels = 3;
  int64_t panel = 0;
  for (; panel + kPanels <= o.panel_count; panel += kPanels) {
    dot_tile<kRows, kPanels>(o, row, panel);
  }
  for (; panel < o.panel_count; ++panel) {
    dot_tile<kRows, 1>(o, row, panel);
  }
}

void run_avx512_bf16(const Operands& o) {
  for_row_tiles<8>(o.rows, [&]<int kRows>(int64_t row) { dot_rows<kRows>(o, row); });
}

// ---- AMX: 16 rows by 16 columns by 32 depths an instruction ----

#define SINEW_AMX_TARGET "amx-tile,amx-bf16," SINEW_BF16_TARGET

constexpr int64_t kTileBytes = 64;  // of a tile's row

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  std::array<uint8_t, 14> reserved{};
  std::array<uint16_t, 16> row_bytes{};
  std::array<uint8_t, 16> rows{};
};

static_assert(sizeof(TileConfig) == 64);

// Tiles 0 to 3 hold sums (upper and lower rows, left and right panel), 4 and 5 rows of x, 6 and 7
// the panels.
TileConfig tile_config(int64_t upper_rows, int64_t lower_rows) {
  TileConfig config;
  const auto set = [&config](size_t tile, int64_t rows) {
    config.row_bytes[tile] = kTileBytes;
    config.rows[tile] = static_cast<uint8_t>(rows);
  };
  set(0, upper_rows);
  set(1, upper_rows);
  set(4, upper_rows);
  if (lower_rows > 0) {
    set(2, lower_rows);
    set(3, lower_rows);
    set(5, lower_rows);
  }
  set(6, kTileRows);
  set(7, kTileRows);
  return config;
}

// The compiler believes that the instruction reads eight bytes, and would drop the stores of the
// rest: the barrier keeps them.
__attribute__((target(SINEW_AMX_TARGET))) inline void load_config(const TileConfig& config) {
  asm volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}

// One step of 32 depths for up to 32 rows and two panels.
template <bool kHasLower, bool kHasRight>
__attribute__((target(SINEW_AMX_TARGET), always_inline)) inline void tile_step(const Bf16* upper,
                                                                               const Bf16* lower,
                                                                               int64_t stride_bytes,
                                                                               const Bf16* left,
                                                                               const Bf16* right) {
  _tile_loadd(4, upper, stride_bytes);
  _tile_loadd(6, left, kTileBytes);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (kHasRight) {
    _tile_loadd(7, right, kTileBytes);
    _tile_dpbf16ps(1, 4, 7);
  }
  if constexpr (kHasLower) {
    _tile_loadd(5, lower, stride_bytes);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (kHasRight) {
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}

constexpr int64_t kTileElements = kTileRows * kTileBytes / static_cast<int64_t>(sizeof(Bf16));
// Far enough ahead to hide the way from memory, for panels that are read once.
constexpr int64_t kPrefetchElements = 4 * kTileElements;

__attribute__((target(SINEW_AMX_TARGET), always_inline)) inline void prefetch_tile(
    const Bf16* tile) {
  for (int64_t line = 0; line < kTileRows; ++line) {
    _mm_prefetch(reinterpret_cast<const char*>(tile + line * kBf16DepthStep), _MM_HINT_T0);
  }
}

// `tail`: the last, partial step of depths of all rows, zero-padded to 32.
template <bool kHasLower, bool kHasRight>
__attribute__((target(SINEW_AMX_TARGET))) void tile_panels(const Operands& o, int64_t first_row,
                                                           const Bf16* tail, int64_t panel) {
  const bool is_tiled = o.is_tiled;
  const Bf16* upper = o.x + first_row * o.ldx;
  const Bf16* lower = upper + kTileRows * o.ldx;
  const Bf16* left = o.panels + panel * o.panel_stride;
  const Bf16* right = left + o.panel_stride;
  const int64_t stride_bytes = is_tiled ? kTileBytes : o.ldx * static_cast<int64_t>(sizeof(Bf16));
  const int64_t step = is_tiled ? kTileElements : kBf16DepthStep;  // from 32 depths to the next
  const int64_t steps = (is_tiled ? o.depth + kBf16DepthStep - 1 : o.depth) / kBf16DepthStep;
  _tile_zero(0);
  if constexpr (kHasRight) {
    _tile_zero(1);
  }
  if constexpr (kHasLower) {
    _tile_zero(2);
    if constexpr (kHasRight) {
      _tile_zero(3);
    }
  }
  for (int64_t i = 0; i < steps; ++i) {
    prefetch_tile(left + kPrefetchElements);
    if constexpr (kHasRight) {
      prefetch_tile(right + kPrefetchElements);
    }
    tile_step<kHasLower, kHasRight>(upper + i * step, lower + i * step, stride_bytes, left, right);
    left += kTileElements;
    right += kTileElements;
  }
  if (steps * kBf16DepthStep < o.depth) {
    tile_step<kHasLower, kHasRight>(tail, tail + kTileRows * kBf16DepthStep, kTileBytes, left,
                                    right);
  }
  float* out = o.out + first_row * o.ldout + panel * kPanelColumns;
  const int64_t out_bytes = o.ldout * static_cast<int64_t>(sizeof(float));
  _tile_stored(0, out, out_bytes);
  if constexpr (kHasRight) {
    _tile_stored(1, out + kPanelColumns, out_bytes);
  }
  if constexpr (kHasLower) {
    _tile_stored(2, out + kTileRows * o.ldout, out_bytes);
    if constexpr (kHasRight) {
      _tile_stored(3, out + kTileRows * o.ldout + kPanelColumns, out_bytes);
    }
  }
}

template <bool kHasLower>
void tile_rows(const Operands& o, int64_t first_row, const Bf16* tail) {
  int64_t panel = 0;
  for (; panel + 2 <= o.panel_count; panel += 2) {
    tile_panels<kHasLower, true>(o, first_row, tail, panel);
  }
  if (panel < o.panel_count) {
    tile_panels<kHasLower, false>(o, first_row, tail, panel);
  }
}

__attribute__((target(SINEW_AMX_TARGET))) void run_amx(const Operands& o) {
  alignas(64) std::array<Bf16, 2 * kTileRows * kBf16DepthStep> tail;
  const int64_t whole = o.depth / kBf16DepthStep * kBf16DepthStep;
  int64_t configured = -1;
  for (int64_t row = 0; row < o.rows; row += 2 * kTileRows) {
    const int64_t rows = std::min(o.rows - row, 2 * kTileRows);
    if (whole < o.depth && !o.is_tiled) {
      tail.fill({});
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(tail.data() + r * kBf16DepthStep, o.x + (row + r) * o.ldx + whole,
                    static_cast<size_t>(o.depth - whole) * sizeof(Bf16));
      }
    }
    if (rows != configured) {
      const TileConfig config =
          tile_config(std::min(rows, kTileRows), std::max<int64_t>(rows - kTileRows, 0));
      load_config(config);
      configured = rows;
    }
    if (rows > kTileRows) {
      tile_rows<true>(o, row, tail.data());
    } else {
      tile_rows<false>(o, row, tail.data());
    }
  }
  _tile_release();
}
#endif

Available<Bf16> find_available() {
  Available<Bf16> available;
#if defined(SINEW_X86_TARGETS)
  const InstructionSets& has = instruction_sets();
  if (has.amx_bf16) {
    available.add({"amx_bf16", run_amx, kTileRows});
  }
  if (has.avx512_bf16) {
    available.add({"avx512_bf16", run_avx512_bf16});
  }
  if (has.avx512f) {
    available.add({"avx512", run_avx512});
  }
  if (has.avx2_fma) {
    available.add({"avx2", run_avx2});
  }
#endif
  available.add({"any", run_any});
  return available;
}

}  // namespace

const BlockProduct<Bf16>* bf16_block_products(int* count) {
  static const Available<Bf16> available = find_available();
  *count = available.count;
  return available.products.data();
}

const BlockProduct<Bf16>& bf16_block_product() {
  int count = 0;
  return *bf16_block_products(&count);
}

}  // namespace sinew::cpu
