// The fused diffusion transformer's cut into CTAs and stages: host arithmetic, no GPU needed.
#include "kernels/cuda/fused/dit_stack.h"
#include "kernels/cuda/fused/dit_stack_layout.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace sinew::cuda::dit {
namespace {

struct Coverage {
  int rows, columns;
  std::vector<int> runs;  // how often a run of eight weights is in the stream

  Coverage(int r, int c) : rows(r), columns(c), runs(static_cast<size_t>(r) * c / 8) {}
};

std::vector<Coverage> cover(bool cross) {
  std::vector<Coverage> found = {{kWidth, kWidth}, {kWidth, kWidth},  {kWidth, kWidth},
                                 {kWidth, kWidth}, {kHidden, kWidth}, {kWidth, kHidden}};
  const int stages = cross ? kCrossStages : kSelfStages;
  for (int cta = 0; cta < kCtas; ++cta) {
    for (int stage = 0; stage < stages; ++stage) {
      for (int group = 0; group < 3; ++group) {
        for (int run = 0; run < kShareBytes / 16; ++run) {
          const WeightRun at = weight_at(cross, cta, stage, group, run);
          Coverage& c = found[static_cast<size_t>(at.matrix)];
          EXPECT_TRUE(at.row >= 0 && at.row < c.rows && at.column >= 0 && at.column < c.columns);
          EXPECT_EQ(at.column % 8, 0);
          ++c.runs[(static_cast<size_t>(at.row) * c.columns + at.column) / 8];
        }
      }
    }
  }
  return found;
}

TEST(DitLayout, EveryWeightOfASelfBlockIsStreamedOnce) {
  for (const Coverage& c : cover(false)) {
    for (const int count : c.runs) {
      ASSERT_EQ(count, 1);
    }
  }
}

TEST(DitLayout, ARunIsFoundWhereItWasPacked) {
  for (const bool cross : {true, false}) {
    int64_t at = 0;
    for (int cta = 0; cta < kCtas; ++cta) {
      for (int stage = 0; stage < block_stages(cross); ++stage) {
        for (int group = 0; group < 3; ++group) {
          for (int run = 0; run < kShareBytes / 16; ++run, ++at) {
            const WeightRun w = weight_at(cross, cta, stage, group, run);
            if (w.matrix != Matrix::kOut && w.matrix != Matrix::kDown) {
              ASSERT_EQ(run_of(cross, w), at);
            }
          }
        }
      }
    }
  }
}

TEST(DitLayout, CrossBlocksStreamNoKeysAndValues) {
  const std::vector<Coverage> found = cover(true);
  for (size_t i = 0; i < found.size(); ++i) {
    const bool is_context =
        i == static_cast<size_t>(Matrix::kKey) || i == static_cast<size_t>(Matrix::kValue);
    for (const int count : found[i].runs) {
      ASSERT_EQ(count, is_context ? 0 : 1) << "matrix " << i;
    }
  }
}

// A head's query, key and value rows meet in one group; `out` reads the two heads of its slice.
TEST(DitLayout, AHeadStaysInItsGroup) {
  for (int cta = 0; cta < kCtas; ++cta) {
    const int head = cta / kRanks;
    for (int stage = 0; stage < kQkvStages; ++stage) {
      for (int run = 0; run < kShareBytes / 16; ++run) {
        EXPECT_EQ(weight_at(false, cta, stage, 0, run).row / kHeadDim, head);
      }
    }
    std::set<int> heads;
    for (int stage = kQkvStages; stage < kQkvStages + kOutStages; ++stage) {
      for (int run = 0; run < kShareBytes / 16; ++run) {
        const WeightRun out = weight_at(false, cta, stage, 0, run);
        EXPECT_EQ(out.matrix, Matrix::kOut);
        heads.insert(out.column / kHeadDim);
      }
    }
    const int slice = cta / kDownGroups;
    EXPECT_EQ(heads, (std::set<int>{2 * slice, 2 * slice + 1}));
  }
}

TEST(DitLayout, LanesHoldNeighbouringRows) {
  std::set<int> rows;
  for (int position = 0; position < 64; ++position) {
    rows.insert(tile_row(position));
    if (position % 16 < 8) {
      EXPECT_EQ(tile_row(position) + 1, tile_row(position + 8));
      EXPECT_EQ(tile_row(position) % 2, 0);
    }
  }
  EXPECT_EQ(rows.size(), 64U);
}

TEST(DitLayout, AStepOfTheTrueModelReadsItsWeightsOnce) {
  // 16 x (q, k, v) and 16 x q, 32 x (out, up, down)
  constexpr size_t kSquare = size_t{kWidth} * kWidth * 2;
  constexpr size_t kFeed = size_t{kWidth} * kHidden * 2;
  EXPECT_EQ(16 * (block_bytes(true) + block_bytes(false)),
            (16 * 3 + 16 + 32) * kSquare + 32 * 2 * kFeed);
}

TEST(DitLayout, ContextsArePaddedToStages) {
  EXPECT_EQ(context_chunks(42), 3);
  EXPECT_EQ(context_stages(42), 1);
  EXPECT_EQ(context_stages(96), 1);
  EXPECT_EQ(context_stages(97), 2);
  EXPECT_EQ(context_stages(411), 5);
  EXPECT_EQ(context_bytes(180), size_t{2} * kStageBytes * kHeads);
}

TEST(DitLayout, ExchangeBuffersHoldWhatIsWrittenAndAreAligned) {
  for (const size_t tiles : {3, 7}) {
    const Workspace w = workspace(static_cast<int>(tiles));
    const size_t tokens = 8 * tiles;
    // sources x tokens (of one owner in four) x rows x bytes, of all CTAs; then what exists twice
    const std::array<size_t, 10> sizes = {128 * 3 * tokens * 48 * 2,       // q, k, v
                                          128 * 16 * tokens / 4 * 48 * 2,  // out
                                          128 * 4 * tokens / 4 * 192 * 2,  // up
                                          128 * 16 * tokens / 4 * 48 * 2,  // down
                                          2 * (tokens * 1536 * 2),        2 * (tokens * 1536 * 2),
                                          2 * (tokens * 1536 * 2),        2 * (tokens * 6144 * 2),
                                          2 * (tokens * 32 * 8),          2 * (tokens * 32 * 8)};
    const std::array starts = {w.qkv,          w.out,        w.up,     w.down,
                               w.x_attend,     w.attended,   w.x_feed, w.hidden,
                               w.stats_attend, w.stats_feed, w.bytes};
    EXPECT_EQ(starts[0], 0U);
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_EQ(starts[i + 1] - starts[i], sizes[i]) << i;
      EXPECT_EQ(starts[i] % 256, 0U) << i;
    }
  }
}

TEST(DitLayout, WhatItIsNotMadeForIsRefusedWithNumbers) {
  EXPECT_EQ(refuse_stack(17, 32, 1536, 32, 6144), "");
  EXPECT_EQ(refuse_stack(56, 2, 1536, 32, 6144), "");
  EXPECT_NE(refuse_stack(57, 32, 1536, 32, 6144).find("found 57"), std::string::npos);
  EXPECT_NE(refuse_stack(0, 32, 1536, 32, 6144).find("found 0"), std::string::npos);
  EXPECT_NE(refuse_stack(17, 31, 1536, 32, 6144).find("found 31"), std::string::npos);
  EXPECT_NE(refuse_stack(17, 32, 64, 2, 256).find("found 64, 2 and 256"), std::string::npos);
}

TEST(DitLayout, AContextFitsTheRingBesideWeights) {
  for (const int tokens : {1, 24, 25, 56}) {
    const int most = most_context_tokens(tokens);
    EXPECT_LT(context_stages(most), ring_stages(token_tiles(tokens)));
    EXPECT_EQ(refuse_context(tokens, most), "");
    EXPECT_NE(refuse_context(tokens, most + 1).find(std::to_string(most + 1)), std::string::npos);
    EXPECT_NE(refuse_context(tokens, 0), "");
  }
}

}  // namespace
}  // namespace sinew::cuda::dit
