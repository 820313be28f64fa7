// Block products in f32, for AVX-512, AVX2 and any other processor. This file is compiled with
// contraction on: a multiply-add is one rounding where the processor has the instruction.
#include "kernels/cpu/block_product.h"
#include "kernels/cpu/block_product_rows.h"
#include "kernels/cpu/instruction_sets.h"

#include <array>

namespace sinew::cpu {
namespace {

// 16 floats in whatever registers the processor has.
using Lanes = float
    __attribute__((vector_size(kPanelColumns * sizeof(float)), aligned(alignof(float)), may_alias));

// How far ahead of the sums panels are fetched into the first-level cache, in depths.
constexpr int64_t kPrefetchDepths = 24;

// out[r, 0..16 kPanels) = sum over i of x[r, i] panel[i, ...], kRows rows held in registers.
template <int kRows, int kPanels>
inline __attribute__((always_inline)) void tile(const BlockOperands<float>& o, int64_t first_row,
                                                int64_t first_panel) {
  const float* x = o.x + first_row * o.ldx;
  const float* panel = o.panels + first_panel * o.panel_stride;
  Lanes sums[kRows][kPanels] = {};
  for (int64_t i = 0; i < o.depth; ++i) {
    Lanes w[kPanels];
    for (int p = 0; p < kPanels; ++p) {
      const float* row = panel + p * o.panel_stride + i * kPanelColumns;
      __builtin_prefetch(row + kPrefetchDepths * kPanelColumns);
      w[p] = *reinterpret_cast<const Lanes*>(row);
    }
    for (int r = 0; r < kRows; ++r) {
      const float factor = x[r * o.ldx + i];
      for (int p = 0; p < kPanels; ++p) {
        sums[r][p] += factor * w[p];
      }
    }
  }
  float* out = o.out + first_row * o.ldout + first_panel * kPanelColumns;
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      *reinterpret_cast<Lanes*>(out + r * o.ldout + p * kPanelColumns) = sums[r][p];
    }
  }
}

// kPanels panels, all rows: the panels stay in the second-level cache meanwhile.
template <int kMaxRows, int kPanels>
inline __attribute__((always_inline)) void group(const BlockOperands<float>& o, int64_t panel) {
  for_row_tiles<kMaxRows>(
      o.rows, [&]<int kRows>(int64_t row)
                  __attribute__((always_inline)) { tile<kRows, kPanels>(o, row, panel); });
}

template <int kMaxRows, int kMaxPanels>
inline __attribute__((always_inline)) void block(const BlockOperands<float>& o) {
  int64_t panel = 0;
  for (; panel + kMaxPanels <= o.panel_count; panel += kMaxPanels) {
    group<kMaxRows, kMaxPanels>(o, panel);
  }
  for (; panel < o.panel_count; ++panel) {
    group<kMaxRows, 1>(o, panel);
  }
}

#if defined(SINEW_X86_TARGETS)
__attribute__((target("avx512f,fma"))) void run_avx512(const BlockOperands<float>& o) {
  block<14, 2>(o);
}

__attribute__((target("avx2,fma"))) void run_avx2(const BlockOperands<float>& o) {
  block<6, 1>(o);
}
#endif

void run_any(const BlockOperands<float>& o) {
  block<4, 1>(o);
}

struct Available {
  std::array<BlockProduct<float>, 3> products;
  int count = 0;

  void add(const BlockProduct<float>& product) { products[static_cast<size_t>(count++)] = product; }

  Available() {
#if defined(SINEW_X86_TARGETS)
    const InstructionSets& has = instruction_sets();
    if (has.avx512f) {
      add({"avx512", run_avx512});
    }
    if (has.avx2_fma) {
      add({"avx2", run_avx2});
    }
#endif
    add({"any", run_any});
  }
};

}  // namespace

const BlockProduct<float>* f32_block_products(int* count) {
  static const Available available;
  *count = available.count;
  return available.products.data();
}

const BlockProduct<float>& f32_block_product() {
  int count = 0;
  return *f32_block_products(&count);
}

}  // namespace sinew::cpu
