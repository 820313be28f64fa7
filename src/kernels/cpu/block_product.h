// The inner kernel of every matrix product on a CPU: a block of rows times panels of a packed
// matrix. One function for each kind of arithmetic the processor may have; the fastest is chosen
// once, at load.
//
// A panel is 16 columns of W [depth, n], zero-padded at the end:
//   f32:  [depth][16]
//   bf16: [padded depth / 2][16][2], pairs of consecutive depths side by side, as the dot-product
//         and tile instructions of x86 read them
// Sums run over the whole depth in one order that depends on the instruction set alone, never on
// how rows and panels were divided, so results do not depend on the number of threads.
#pragma once

#include "base/float16.h"

#include <cstdint>
#include <string_view>

namespace sinew::cpu {

inline constexpr int64_t kPanelColumns = 16;

// Depth of bf16 panels is a multiple of this (a tile of 64 bytes).
inline constexpr int64_t kBf16DepthStep = 32;

// Long sums are made in pieces: what all rows of a block read of a piece of x stays in a
// second-level cache while panel after panel passes. A sum that goes on is the same sum, in the
// same order. f32: depths of a piece; bf16: bytes of x.
inline constexpr int64_t kF32DepthPiece = 1280;
inline constexpr int64_t kBf16PieceBytes = int64_t{900} << 10;

// Rows of a tile of bf16 x.
inline constexpr int64_t kTileRows = 16;

template <class T>
struct BlockOperands {
  // [rows, depth] with row stride ldx (bf16: depth is even), or where `is_tiled` the same elements
  // in the order in which they are read, ldx to a row:
  //   f32:  register tiles as RowTiles cuts the rows (block_product_rows.h), each [depth][its rows]
  //   bf16: [rows / 16][padded depth / 32][16][32], zero beyond the depth
  const T* x = nullptr;
  int64_t ldx = 0;
  bool is_tiled = false;
  int64_t rows = 0;
  const T* panels = nullptr;
  int64_t panel_stride = 0;  // elements from one panel to the next
  int64_t panel_count = 0;
  int64_t depth = 0;  // of x; panels are padded
  // [panel_count / 2 rounded up][rows, 32]: the sums of two panels side by side with row stride
  // ldout, the next two pair_stride further. By default those lie beside them in the same rows, and
  // f32 products know no other form: the address costs them registers.
  float* out = nullptr;
  int64_t ldout = 0;
  int64_t pair_stride = 2 * kPanelColumns;
  // The panels come from memory, one after the other: worth fetching ahead of their use.
  bool is_cold = false;

  // Where the sums of a row and a panel go.
  float* sums(int64_t row, int64_t panel) const {
    return out + row * ldout + panel / 2 * pair_stride + panel % 2 * kPanelColumns;
  }
};

template <class T>
struct BlockProduct {
  std::string_view name;  // "avx512_bf16"
  void (*run)(const BlockOperands<T>& operands) = nullptr;
  // Rows of a tile of x, for those that run faster on x in tiles (up to a quarter: rows a power of
  // two apart share few lines of a cache). 0: x is best left in rows. All take both.
  int64_t tile_rows = 0;
};

// The implementations that this processor can run, fastest first; the last one runs anywhere.
// `count` receives how many there are.
const BlockProduct<float>* f32_block_products(int* count);
const BlockProduct<Bf16>* bf16_block_products(int* count);

// The first of them.
const BlockProduct<float>& f32_block_product();
const BlockProduct<Bf16>& bf16_block_product();

}  // namespace sinew::cpu
