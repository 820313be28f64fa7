// Block products of bf16 operands with f32 sums: AMX tiles, AVX-512 BF16 dot products, and widening
// to f32 elsewhere. Compiled with contraction on, like block_product_f32.cpp.
#include "base/instruction_sets.h"
#include "kernels/cpu/block_product.h"
#include "kernels/cpu/block_product_rows.h"

#include <algorithm>
#include <array>
#include <cstddef>
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
  float* out = o.sums(first_row, first_panel);
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
  for (int p = 0; p < kPanels; ++p) {
    float* out = o.sums(first_row, first_panel + p);
    for (int r = 0; r < kRows; ++r) {
      _mm512_storeu_ps(out + r * o.ldout, sums[r][p]);
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

// Levels of the cache, as __builtin_prefetch counts.
constexpr int kFirstLevel = 3;
constexpr int kSecondLevel = 2;

template <int kLevel>
__attribute__((always_inline)) inline void prefetch_lines(const Bf16* first, int64_t lines) {
  for (int64_t line = 0; line < lines; ++line) {
    __builtin_prefetch(first + line * kBf16DepthStep, 0, kLevel);
  }
}

// Sapphire Rapids puts something asleep that stores of tiles need when there was none for some
// 0.8 us: the next one then takes 0.3 us longer, a fifth of what 1152 depths take. A store of any
// tile keeps it awake. Not worth it where panels come from memory just in time: so many steps take
// longer than that.
constexpr int64_t kStepsBetweenStores = 16;

// What of two panels is fetched from memory while a tile of rows is summed. Where there are several
// tiles, each fetches its share of the two panels that come next, into the second-level cache and
// line after line, which makes the processor's own prefetcher join in. Else panels are fetched a
// little ahead of their use.
struct Fetch {
  const Bf16* left = nullptr;  // the line that comes next; that of the right panel is a stride on
  int64_t lines = 0;           // of each panel in a step
  int64_t steps = 0;           // that fetch
  bool is_near = false;

  // Far enough ahead to hide the way from memory, for panels that are read once.
  static Fetch ahead_of(const Bf16* panel, int64_t steps) {
    return {panel + 4 * kTileElements, kTileRows, steps, true};
  }

  // The share of `tile`; `next` will be read for so many steps.
  static Fetch share(const Bf16* next, int64_t steps, int64_t tile, int64_t tiles) {
    const int64_t lines = (kTileRows + tiles - 1) / tiles;
    const int64_t first = tile * steps * kTileRows / tiles;
    const int64_t end = (tile + 1) * steps * kTileRows / tiles;
    return {next + first * kBf16DepthStep, lines, (end - first + lines - 1) / lines, false};
  }

  template <bool kHasRight>
  __attribute__((target(SINEW_AMX_TARGET), always_inline)) void take_step(int64_t panel_stride) {
    if (steps <= 0) {
      return;
    }
    if (is_near) {
      prefetch_lines<kFirstLevel>(left, lines);
      prefetch_lines<kFirstLevel>(left + panel_stride, kHasRight ? lines : 0);
    } else {
      prefetch_lines<kSecondLevel>(left, lines);
      prefetch_lines<kSecondLevel>(left + panel_stride, lines);
    }
    left += lines * kBf16DepthStep;
    --steps;
  }
};

// Where a tile of sums is, and which steps of 32 depths are added to it.
struct Span {
  int64_t first_row;
  int64_t panel;
  int64_t first_step;  // 0: the sums begin
  int64_t end_step;
  const Bf16* tail;   // the partial step behind the last one of all rows, zero-padded; or nullptr
  std::byte* unread;  // a line for stores that nothing reads
};

template <bool kHasLower, bool kHasRight>
__attribute__((target(SINEW_AMX_TARGET), always_inline)) inline void begin_sums(float* out,
                                                                                int64_t ldout,
                                                                                bool is_first) {
  const int64_t out_bytes = ldout * static_cast<int64_t>(sizeof(float));
  if (is_first) {
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
    return;
  }
  _tile_loadd(0, out, out_bytes);
  if constexpr (kHasRight) {
    _tile_loadd(1, out + kPanelColumns, out_bytes);
  }
  if constexpr (kHasLower) {
    _tile_loadd(2, out + kTileRows * ldout, out_bytes);
    if constexpr (kHasRight) {
      _tile_loadd(3, out + kTileRows * ldout + kPanelColumns, out_bytes);
    }
  }
}

// The next tiles of x and of the panels.
struct Position {
  const Bf16* upper;
  const Bf16* lower;
  const Bf16* left;
  const Bf16* right;
};

template <bool kHasLower, bool kHasRight>
__attribute__((target(SINEW_AMX_TARGET), always_inline)) inline void sum_steps(
    Position& at, int64_t steps, int64_t stride_bytes, int64_t x_step, Fetch& fetch) {
  for (int64_t i = 0; i < steps; ++i) {
    fetch.take_step<kHasRight>(at.right - at.left);
    tile_step<kHasLower, kHasRight>(at.upper, at.lower, stride_bytes, at.left, at.right);
    at.upper += x_step;
    at.lower += x_step;
    at.left += kTileElements;
    at.right += kTileElements;
  }
}

template <bool kHasLower, bool kHasRight>
__attribute__((target(SINEW_AMX_TARGET))) void sum_tiles(const Operands& o, const Span& span,
                                                         Fetch fetch) {
  const int64_t stride_bytes = o.is_tiled ? kTileBytes : o.ldx * static_cast<int64_t>(sizeof(Bf16));
  const int64_t x_step = o.is_tiled ? kTileElements : kBf16DepthStep;  // from 32 depths to the next
  const Bf16* x = o.x + span.first_row * o.ldx + span.first_step * x_step;
  const Bf16* panel = o.panels + span.panel * o.panel_stride + span.first_step * kTileElements;
  Position at{x, x + kTileRows * o.ldx, panel, panel + o.panel_stride};
  float* out = o.sums(span.first_row, span.panel);
  begin_sums<kHasLower, kHasRight>(out, o.ldout, span.first_step == 0);
  int64_t left = span.end_step - span.first_step;
  for (; !fetch.is_near && left > kStepsBetweenStores; left -= kStepsBetweenStores) {
    sum_steps<kHasLower, kHasRight>(at, kStepsBetweenStores, stride_bytes, x_step, fetch);
    _tile_stored(6, span.unread, 0);
  }
  sum_steps<kHasLower, kHasRight>(at, left, stride_bytes, x_step, fetch);
  if (span.tail != nullptr) {
    tile_step<kHasLower, kHasRight>(span.tail, span.tail + kTileElements, kTileBytes, at.left,
                                    at.right);
  }
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

// The tile registers' state during a call, and the tail of the rows at hand.
class AmxRun {
 public:
  explicit AmxRun(const Operands& o)
      : o_(o), whole_((o.is_tiled ? o.depth + kBf16DepthStep - 1 : o.depth) / kBf16DepthStep) {}

  __attribute__((target(SINEW_AMX_TARGET))) ~AmxRun() { _tile_release(); }

  AmxRun(const AmxRun&) = delete;
  AmxRun& operator=(const AmxRun&) = delete;

  // Pieces of the depth, panels two by two, rows 32 by 32: what all rows read of a piece of x stays
  // in the second-level cache, and two panels are read by all rows one after the other.
  void run() {
    const int64_t pieces = piece_count();
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t first = piece * whole_ / pieces;
      const int64_t end = (piece + 1) * whole_ / pieces;
      for (int64_t panel = 0; panel < o_.panel_count; panel += 2) {
        run_panels(panel, first, end);
      }
    }
  }

 private:
  static constexpr int64_t kRows = 2 * kTileRows;

  int64_t piece_count() const {
    const int64_t step_bytes = (o_.rows + kTileRows - 1) / kTileRows * kTileRows * kTileBytes;
    if (whole_ * step_bytes <= kBf16PieceBytes) {
      return 1;
    }
    // Sums that go on need room too.
    const auto sum_bytes =
        o_.rows * o_.panel_count * kPanelColumns * static_cast<int64_t>(sizeof(float));
    const int64_t room = std::max(kBf16PieceBytes - sum_bytes, kBf16PieceBytes / 2);
    const int64_t most_steps = std::max<int64_t>(room / step_bytes, 1);
    return (whole_ + most_steps - 1) / most_steps;
  }

  void run_panels(int64_t panel, int64_t first_step, int64_t end_step) {
    const int64_t tiles = (o_.rows + kRows - 1) / kRows;
    const bool has_right = panel + 1 < o_.panel_count;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t rows = std::min(o_.rows - tile * kRows, kRows);
      configure(rows);
      const Span span{.first_row = tile * kRows,
                      .panel = panel,
                      .first_step = first_step,
                      .end_step = end_step,
                      .tail = end_step == whole_ ? tail_of(tile * kRows, rows) : nullptr,
                      .unread = unread_.data()};
      const Fetch fetch = fetch_during(panel, first_step, end_step, tile, tiles);
      if (rows > kTileRows) {
        has_right ? sum_tiles<true, true>(o_, span, fetch)
                  : sum_tiles<true, false>(o_, span, fetch);
      } else {
        has_right ? sum_tiles<false, true>(o_, span, fetch)
                  : sum_tiles<false, false>(o_, span, fetch);
      }
    }
  }

  Fetch fetch_during(int64_t panel, int64_t first_step, int64_t end_step, int64_t tile,
                     int64_t tiles) const {
    constexpr int64_t kLeast = 4;  // fewer tiles hardly compute longer than memory delivers
    if (!o_.is_cold) {
      return {};
    }
    const int64_t steps = end_step - first_step;
    const auto at = [&](int64_t p, int64_t step) {
      return o_.panels + p * o_.panel_stride + step * kTileElements;
    };
    if (tiles < kLeast) {
      return Fetch::ahead_of(at(panel, first_step), steps);
    }
    // The next panels, the first ones of the next piece, or those of who goes on behind this block.
    const bool is_last = panel + 2 >= o_.panel_count;
    const bool is_last_piece = end_step == whole_;
    const Bf16* next = !is_last        ? at(panel + 2, first_step)
                       : is_last_piece ? at(panel + 2, 0)
                                       : at(0, end_step);
    return Fetch::share(next, steps, tile, tiles);
  }

  void configure(int64_t rows) {
    // 16 rows leave half of the tiles for 32 unused: one state less to load.
    const int64_t config = rows == kTileRows ? kRows : rows;
    if (config != configured_) {
      load_config(
          tile_config(std::min(config, kTileRows), std::max<int64_t>(config - kTileRows, 0)));
      configured_ = config;
    }
  }

  const Bf16* tail_of(int64_t first_row, int64_t rows) {
    const int64_t whole_depth = whole_ * kBf16DepthStep;
    if (whole_depth >= o_.depth) {
      return nullptr;
    }
    if (tail_row_ != first_row) {
      tail_.fill({});
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(tail_.data() + r * kBf16DepthStep,
                    o_.x + (first_row + r) * o_.ldx + whole_depth,
                    static_cast<size_t>(o_.depth - whole_depth) * sizeof(Bf16));
      }
      tail_row_ = first_row;
    }
    return tail_.data();
  }

  const Operands& o_;
  const int64_t whole_;  // steps of 32 depths
  int64_t configured_ = -1;
  int64_t tail_row_ = -1;
  alignas(64) std::array<Bf16, kRows * kBf16DepthStep> tail_;
  alignas(64) std::array<std::byte, kTileBytes> unread_{};
};

void run_amx(const Operands& o) {
  AmxRun(o).run();
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
