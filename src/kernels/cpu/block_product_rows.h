// How a block of rows is cut into register tiles of at most kMaxRows: evenly, since a short last
// tile would wait for its own sums (17 rows are 6 + 6 + 5, not 8 + 8 + 1).
#pragma once

#include <cstdint>
#include <utility>

namespace sinew::cpu {

// Calls tile.template operator()<kRows>(first) for consecutive tiles that cover `rows`.
template <int kMaxRows, class Tile>
inline __attribute__((always_inline)) void for_row_tiles(int64_t rows, const Tile& tile) {
  const int64_t tiles = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t first = t * rows / tiles;
    const int64_t count = (t + 1) * rows / tiles - first;
    [&]<int... kCounts>(std::integer_sequence<int, kCounts...>) __attribute__((always_inline)) {
      ((count == kCounts + 1 ? tile.template operator()<kCounts + 1>(first) : void()), ...);
    }
    (std::make_integer_sequence<int, kMaxRows>());
  }
}

}  // namespace sinew::cpu
