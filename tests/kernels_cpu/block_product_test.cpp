// Every block product that this processor can run, not only the one that is chosen.
#include "kernels/cpu/block_product.h"

#include "base/float16.h"
#include "kernels/cpu/block_product_rows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

namespace sinew::cpu {
namespace {

constexpr double kRoundoff = 0x1p-24;
constexpr uint32_t kGuardBits = 0x7fa5a5a5;  // a NaN: what is read by mistake shows as well
constexpr int64_t kGuardFloats = 64;

template <class T>
T stored(float x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else {
    return to_bf16(x);
  }
}

double real(float x) {
  return static_cast<double>(x);
}

double real(Bf16 x) {
  return static_cast<double>(to_float(x));
}

// Operands of one call: rows with a stride, panels with one, results between guards.
template <class T>
class Block {
 public:
  Block(int64_t rows, int64_t panels, int64_t depth, uint32_t seed)
      : rows_(rows),
        panels_(panels),
        depth_(depth),
        padded_depth_(std::is_same_v<T, float>
                          ? depth
                          : (depth + kBf16DepthStep - 1) / kBf16DepthStep * kBf16DepthStep),
        ldx_(depth + 6),
        ldout_(kPanelColumns * panels + 5),
        panel_stride_(padded_depth_ * kPanelColumns + 2 * kPanelColumns) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    // Nothing after the last element of the last row: a read beyond it is out of bounds.
    x_.assign(static_cast<size_t>((rows - 1) * ldx_ + depth), not_a_number());
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < depth; ++i) {
        x_[at(r, ldx_, i)] = stored<T>(normal(engine));
      }
    }
    w_.assign(static_cast<size_t>((panels - 1) * panel_stride_ + padded_depth_ * kPanelColumns),
              not_a_number());
    for (int64_t p = 0; p < panels; ++p) {
      for (int64_t i = 0; i < padded_depth_; ++i) {
        for (int64_t c = 0; c < kPanelColumns; ++c) {
          w_[element(p, i, c)] = stored<T>(i < depth ? normal(engine) : 0.0F);
        }
      }
    }
    out_.assign(static_cast<size_t>(rows * ldout_ + 2 * kGuardFloats),
                std::bit_cast<float>(kGuardBits));
  }

  void run(const BlockProduct<T>& product) { run_rows(product, 0, rows_); }

  void run_rows(const BlockProduct<T>& product, int64_t first, int64_t count) {
    product.run({.x = x_.data() + first * ldx_,
                 .ldx = ldx_,
                 .rows = count,
                 .panels = w_.data(),
                 .panel_stride = panel_stride_,
                 .panel_count = panels_,
                 .depth = depth_,
                 .out = out_.data() + kGuardFloats + first * ldout_,
                 .ldout = ldout_});
  }

  // With x in tiles.
  void run_tiled(const BlockProduct<T>& product) {
    const int64_t ldx = std::is_same_v<T, float> ? depth_ : padded_depth_;
    const int64_t tile_rows = product.tile_rows;
    std::vector<T> tiled(static_cast<size_t>((rows_ + tile_rows) * ldx));
    const RowTiles tiles(rows_, tile_rows);
    for (int64_t r = 0; r < rows_; ++r) {
      int64_t first = r / tile_rows * tile_rows;  // bf16: tiles of equal height
      int64_t count = tile_rows;
      if (std::is_same_v<T, float>) {
        for (int64_t t = 0; t < tiles.count; ++t) {
          if (tiles.first(t) <= r && r < tiles.first(t + 1)) {
            first = tiles.first(t);
            count = tiles.first(t + 1) - first;
          }
        }
      }
      const int64_t step = std::is_same_v<T, float> ? 1 : kBf16DepthStep;
      for (int64_t i = 0; i < depth_; ++i) {
        const int64_t in_tile = (i / step * count + (r - first)) * step + i % step;
        tiled[static_cast<size_t>(first * ldx + in_tile)] = x_[at(r, ldx_, i)];
      }
    }
    product.run({.x = tiled.data(),
                 .ldx = ldx,
                 .is_tiled = true,
                 .rows = rows_,
                 .panels = w_.data(),
                 .panel_stride = panel_stride_,
                 .panel_count = panels_,
                 .depth = depth_,
                 .out = out_.data() + kGuardFloats,
                 .ldout = ldout_});
  }

  // With the sums of every two panels in a region of their own.
  void run_in_pairs(const BlockProduct<T>& product) {
    constexpr int64_t kPair = 2 * kPanelColumns;
    const int64_t pair_stride = rows_ * kPair;
    std::vector<float> sums(static_cast<size_t>((panels_ + 1) / 2 * pair_stride));
    product.run({.x = x_.data(),
                 .ldx = ldx_,
                 .rows = rows_,
                 .panels = w_.data(),
                 .panel_stride = panel_stride_,
                 .panel_count = panels_,
                 .depth = depth_,
                 .out = sums.data(),
                 .ldout = kPair,
                 .pair_stride = pair_stride});
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < kPanelColumns * panels_; ++c) {
        out_[static_cast<size_t>(kGuardFloats + r * ldout_ + c)] =
            sums[static_cast<size_t>(c / kPair * pair_stride + r * kPair + c % kPair)];
      }
    }
  }

  // Columns [0, 16 panels) of every row, as bits.
  std::vector<uint32_t> bits() const {
    std::vector<uint32_t> bits;
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < kPanelColumns * panels_; ++c) {
        bits.push_back(std::bit_cast<uint32_t>(result(r, c)));
      }
    }
    return bits;
  }

  // k roundings that are independent in sign add up to the square root of their number; products of
  // two bf16 are exact in f32.
  void expect_close(const std::string& label) const {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t column = 0; column < kPanelColumns * panels_; ++column) {
        double sum = 0;
        double magnitude = 0;
        for (int64_t i = 0; i < depth_; ++i) {
          const double term = real(x_[at(r, ldx_, i)]) *
                              real(w_[element(column / kPanelColumns, i, column % kPanelColumns)]);
          sum += term;
          magnitude += std::abs(term);
        }
        const double bound = (2 + std::sqrt(static_cast<double>(depth_))) * kRoundoff * magnitude;
        const double difference = std::abs(static_cast<double>(result(r, column)) - sum);
        ASSERT_LE(difference, bound) << label << ": row " << r << ", column " << column;
      }
    }
  }

  void expect_guards(const std::string& label) const {
    for (size_t i = 0; i < out_.size(); ++i) {
      const auto offset = static_cast<int64_t>(i) - kGuardFloats;
      const bool is_result =
          offset >= 0 && offset < rows_ * ldout_ && offset % ldout_ < kPanelColumns * panels_;
      if (!is_result) {
        ASSERT_EQ(std::bit_cast<uint32_t>(out_[i]), kGuardBits)
            << label << ": written at " << offset << " beside the results";
      }
    }
  }

 private:
  static T not_a_number() { return stored<T>(std::nanf("")); }

  static size_t at(int64_t row, int64_t stride, int64_t i) {
    return static_cast<size_t>(row * stride + i);
  }

  // f32: [depth][16]; bf16: [depth / 2][16][2]
  size_t element(int64_t panel, int64_t i, int64_t c) const {
    const int64_t offset = std::is_same_v<T, float> ? i * kPanelColumns + c
                                                    : i / 2 * 2 * kPanelColumns + c * 2 + i % 2;
    return static_cast<size_t>(panel * panel_stride_ + offset);
  }

  float result(int64_t row, int64_t column) const {
    return out_[static_cast<size_t>(kGuardFloats + row * ldout_ + column)];
  }

  int64_t rows_, panels_, depth_, padded_depth_, ldx_, ldout_, panel_stride_;
  std::vector<T> x_, w_;
  std::vector<float> out_;
};

template <class T>
std::vector<BlockProduct<T>> available() {
  int count = 0;
  const BlockProduct<T>* products = nullptr;
  if constexpr (std::is_same_v<T, float>) {
    products = f32_block_products(&count);
  } else {
    products = bf16_block_products(&count);
  }
  return {products, products + count};
}

template <class T>
std::string label_of(const BlockProduct<T>& product, int64_t rows, int64_t panels, int64_t depth) {
  return fmt::format("{} {} rows={} panels={} depth={}", std::is_same_v<T, float> ? "f32" : "bf16",
                     product.name, rows, panels, depth);
}

template <class T>
class BlockProductTest : public testing::Test {};

using ElementTypes = testing::Types<float, Bf16>;

struct ElementName {
  template <class T>
  static std::string GetName(int /*index*/) {
    return std::is_same_v<T, float> ? "F32" : "Bf16";
  }
};

TYPED_TEST_SUITE(BlockProductTest, ElementTypes, ElementName);

TYPED_TEST(BlockProductTest, TheFastestComesFirstAndTheLastRunsAnywhere) {
  const auto products = available<TypeParam>();
  ASSERT_FALSE(products.empty());
  EXPECT_EQ(products.back().name, "any");
  std::set<std::string_view> names;
  for (const auto& product : products) {
    EXPECT_TRUE(names.insert(product.name).second) << product.name << " appears twice";
    ASSERT_NE(product.run, nullptr) << product.name;
  }
  if constexpr (std::is_same_v<TypeParam, float>) {
    EXPECT_EQ(f32_block_product().run, products.front().run);
  } else {
    EXPECT_EQ(bf16_block_product().run, products.front().run);
  }
}

// Row counts beyond one tile of every kind, panel counts that leave groups of 2 and 3 unfinished,
// depths around the 32 of an AMX step.
TYPED_TEST(BlockProductTest, MatchesNaiveDoubleLoopsAndStaysInItsMemory) {
  uint32_t seed = 1;
  for (const auto& product : available<TypeParam>()) {
    for (int64_t rows = 1; rows <= 40; ++rows) {
      for (const int64_t panels : {1, 2, 3, 5, 7}) {
        const int64_t depth = std::array<int64_t, 8>{2, 30, 32, 34, 64, 66, 98, 144}[seed % 8];
        const std::string label = label_of(product, rows, panels, depth);
        Block<TypeParam> block(rows, panels, depth, seed++);
        block.run(product);
        ASSERT_NO_FATAL_FAILURE(block.expect_close(label));
        ASSERT_NO_FATAL_FAILURE(block.expect_guards(label));
      }
    }
  }
}

TYPED_TEST(BlockProductTest, TakesEveryDepth) {
  const int64_t step = std::is_same_v<TypeParam, float> ? 1 : 2;
  for (const auto& product : available<TypeParam>()) {
    for (int64_t depth = step; depth <= 100; depth += step) {
      for (const int64_t rows : {1, 17, 33}) {
        const std::string label = label_of(product, rows, 3, depth);
        Block<TypeParam> block(rows, 3, depth, static_cast<uint32_t>(depth));
        block.run(product);
        ASSERT_NO_FATAL_FAILURE(block.expect_close(label));
        ASSERT_NO_FATAL_FAILURE(block.expect_guards(label));
      }
    }
  }
}

TYPED_TEST(BlockProductTest, TilesOfXGiveTheSameBitsAsRows) {
  for (const auto& product : available<TypeParam>()) {
    if (product.tile_rows == 0) {
      continue;
    }
    for (const int64_t rows : {1, 5, 14, 15, 16, 17, 31, 33, 64, 100}) {
      for (const int64_t depth : {2, 32, 62, 130}) {
        Block<TypeParam> block(rows, 5, depth, 3);
        block.run(product);
        const std::vector<uint32_t> expected = block.bits();
        Block<TypeParam> tiled(rows, 5, depth, 3);
        tiled.run_tiled(product);
        const std::string label = label_of(product, rows, 5, depth);
        ASSERT_EQ(tiled.bits(), expected) << label;
        ASSERT_NO_FATAL_FAILURE(tiled.expect_guards(label));
      }
    }
  }
}

TEST(Bf16BlockProductTest, SumsInPairsOfPanelsHaveTheSameBits) {
  for (const auto& product : available<Bf16>()) {
    for (const int64_t panels : {1, 2, 5, 8}) {
      Block<Bf16> block(35, panels, 62, 4);
      block.run(product);
      const std::vector<uint32_t> expected = block.bits();
      Block<Bf16> pairs(35, panels, 62, 4);
      pairs.run_in_pairs(product);
      ASSERT_EQ(pairs.bits(), expected) << label_of<Bf16>(product, 35, panels, 62);
    }
  }
}

// Long sums are made in pieces.
TYPED_TEST(BlockProductTest, SumsOverMoreDepthsThanAPiece) {
  for (const auto& product : available<TypeParam>()) {
    constexpr int64_t kRows = 112;  // whole tiles
    constexpr int64_t kPiece = std::is_same_v<TypeParam, Bf16>
                                   ? kBf16PieceBytes / (kRows * int64_t{sizeof(Bf16)})
                                   : kF32DepthPiece;
    for (const int64_t depth : {kPiece, kPiece + 2, kPiece + 34, 3 * kPiece - 2}) {
      const std::string label = label_of(product, kRows, 3, depth);
      Block<TypeParam> block(kRows, 3, depth, 5);
      block.run(product);
      ASSERT_NO_FATAL_FAILURE(block.expect_close(label));
      ASSERT_NO_FATAL_FAILURE(block.expect_guards(label));
    }
  }
}

// A sum's order of additions depends on neither the rows nor the panels beside it.
TYPED_TEST(BlockProductTest, RowsHaveTheSameBitsAloneAndInAnyBlock) {
  for (const auto& product : available<TypeParam>()) {
    for (const int64_t depth : {32, 62, 130}) {
      constexpr int64_t kRows = 40;
      constexpr int64_t kPanels = 7;
      Block<TypeParam> whole(kRows, kPanels, depth, 77);
      whole.run(product);
      const std::vector<uint32_t> expected = whole.bits();
      for (int64_t size = 1; size < kRows; ++size) {
        Block<TypeParam> parts(kRows, kPanels, depth, 77);
        for (int64_t row = 0; row < kRows; row += size) {
          parts.run_rows(product, row, std::min(size, kRows - row));
        }
        ASSERT_EQ(parts.bits(), expected)
            << label_of(product, kRows, kPanels, depth) << " in blocks of " << size;
      }
    }
  }
}

}  // namespace
}  // namespace sinew::cpu
