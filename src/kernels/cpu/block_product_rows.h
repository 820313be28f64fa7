// What the block products of both types share: how rows are cut into register tiles, and the list
// of those that the processor can run.
#pragma once

#include "kernels/cpu/block_product.h"

#include <array>
#include <cstdint>
#include <utility>

namespace sinew::cpu {

// The cut of a block's rows into register tiles of at most max_rows: evenly, since a short last
// tile would wait for its own sums (17 rows are 6 + 6 + 5, not 8 + 8 + 1).
struct RowTiles {
  int64_t rows;
  int64_t count;

  RowTiles(int64_t all_rows, int64_t max_rows)
      : rows(all_rows), count((all_rows + max_rows - 1) / max_rows) {}

  int64_t first(int64_t tile) const { return tile * rows / count; }
};

// Calls tile.template operator()<kRows>(first) for consecutive tiles that cover `rows`.
template <int kMaxRows, class Tile>
inline __attribute__((always_inline)) void for_row_tiles(int64_t rows, const Tile& tile) {
  const RowTiles tiles(rows, kMaxRows);
  for (int64_t t = 0; t < tiles.count; ++t) {
    const int64_t first = tiles.first(t);
    const int64_t count = tiles.first(t + 1) - first;
    [&]<int... kCounts>(std::integer_sequence<int, kCounts...>) __attribute__((always_inline)) {
      ((count == kCounts + 1 ? tile.template operator()<kCounts + 1>(first) : void()), ...);
    }
    (std::make_integer_sequence<int, kMaxRows>());
  }
}

// Block products that the processor can run, fastest first.
template <class T>
struct Available {
  std::array<BlockProduct<T>, 5> products;
  int count = 0;

  void add(const BlockProduct<T>& product) { products[static_cast<size_t>(count++)] = product; }
};

}  // namespace sinew::cpu
