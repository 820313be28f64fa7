// What the fused lowerings of vision and language decide before anything runs: tiles, workspaces,
// refusals. No device is needed.
#include "kernels/cuda/fused/attention.h"
#include "kernels/cuda/fused/gemm.h"
#include "kernels/cuda/fused/lm_block.h"
#include "kernels/cuda/fused/norm.h"
#include "kernels/cuda/fused/skinny.h"
#include "kernels/cuda/fused/vit_block.h"
#include "kernels/cuda/fused/workspace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sinew::cuda {
namespace {

constexpr GemmEpilogue kEpilogues[] = {GemmEpilogue::kBias,    GemmEpilogue::kGeluTanh,
                                       GemmEpilogue::kGeluErf, GemmEpilogue::kResidual,
                                       GemmEpilogue::kSwiGlu,  GemmEpilogue::kHeadRope};

ops::DeviceCaps hopper() {
  return {.compute_capability = 90,
          .multiprocessors = 132,
          .block_shared_bytes = 232448,
          .has_own_code = true};
}

TEST(ChooseGemmTile, FitsTheBodyForEveryShape) {
  for (const GemmEpilogue epilogue : kEpilogues) {
    for (const int64_t m : {1, 17, 42, 116, 128, 129, 324, 411, 720, 1440, 5000}) {
      for (const int64_t n : {128, 1152, 4352, 24576}) {
        for (const int64_t k : {8, 64, 1152, 6144}) {
          const GemmTile tile = choose_gemm_tile(epilogue, m, n, k, hopper());
          EXPECT_TRUE(gemm_tile_fits(epilogue, tile)) << m << " " << n << " " << k;
          EXPECT_GE(tile.stages, 2);
          EXPECT_LE(gemm_shared_bytes(tile), hopper().block_shared_bytes);
        }
      }
    }
  }
}

TEST(ChooseGemmTile, SplitsTheDepthOnlyWhereTilesAreFew) {
  EXPECT_GT(choose_gemm_tile(GemmEpilogue::kResidual, 116, 2048, 6144, hopper()).split_k, 1);
  EXPECT_EQ(choose_gemm_tile(GemmEpilogue::kBias, 1440, 24576, 2048, hopper()).split_k, 1);
}

TEST(ChooseGemmTile, TakesWhatWasMeasured) {
  EXPECT_TRUE(is_measured_gemm(GemmEpilogue::kBias, 720, 3456, 1152, hopper()));
  EXPECT_TRUE(is_measured_gemm(GemmEpilogue::kBias, 756, 3456, 1152, hopper()))
      << "as many rows of tiles";
  EXPECT_EQ(choose_gemm_tile(GemmEpilogue::kBias, 756, 3456, 1152, hopper()),
            choose_gemm_tile(GemmEpilogue::kBias, 720, 3456, 1152, hopper()));
  EXPECT_FALSE(is_measured_gemm(GemmEpilogue::kBias, 17, 3456, 1152, hopper()));
  EXPECT_FALSE(is_measured_gemm(GemmEpilogue::kGeluTanh, 720, 3456, 1152, hopper()));
  ops::DeviceCaps older = hopper();
  older.compute_capability = 87;
  EXPECT_FALSE(is_measured_gemm(GemmEpilogue::kBias, 720, 3456, 1152, older));
}

TEST(ChooseGemmTile, TakesTheNearestThatWasMeasured) {
  const auto tile = [](int64_t m) {
    return choose_gemm_tile(GemmEpilogue::kHeadRope, m, 4096, 2048, hopper());
  };
  EXPECT_NE(tile(222), tile(411));
  EXPECT_EQ(tile(258), tile(411)) << "more rows before fewer";
  EXPECT_EQ(tile(2000), tile(411)) << "else the most";
  EXPECT_EQ(choose_gemm_tile(GemmEpilogue::kResidual, 864, 1152, 4304, hopper()),
            choose_gemm_tile(GemmEpilogue::kResidual, 1440, 1152, 4304, hopper()));
  EXPECT_FALSE(is_measured_gemm(GemmEpilogue::kHeadRope, 258, 4096, 2048, hopper()));
}

TEST(Skinny, RefusesWhatItsBlocksCannotHold) {
  EXPECT_EQ(refuse_skinny(16, 1536, 1536, true, hopper()), "");
  EXPECT_EQ(refuse_skinny(56, 16, 32, false, hopper()), "");
  EXPECT_NE(refuse_skinny(0, 16, 32, false, hopper()), "");
  EXPECT_NE(refuse_skinny(57, 16, 32, false, hopper()), "");
  EXPECT_NE(refuse_skinny(16, 24, 32, false, hopper()), "");
  EXPECT_NE(refuse_skinny(16, 16, 48, false, hopper()), "");
  EXPECT_NE(refuse_skinny(16, 16, 1568, false, hopper()), "");
  ops::DeviceCaps small = hopper();
  small.block_shared_bytes = 101376;  // sm_89, sm_120
  EXPECT_EQ(refuse_skinny(16, 1536, 1536, true, small), "");
  EXPECT_NE(refuse_skinny(50, 1536, 1536, true, small).find("shared memory"), std::string::npos);
  EXPECT_EQ(skinny_shared_bytes(16, 64, false), 4U * 8 * 16 * 16);
}

TEST(GemmBody, NeedsCodeForHopperItself) {
  EXPECT_EQ(gemm_body(hopper()), GemmBody::kSm90);
  ops::DeviceCaps family = hopper();
  family.has_own_code = false;
  EXPECT_EQ(gemm_body(family), GemmBody::kMmaSync);
}

TEST(ChooseAttentionTile, FitsGpusWithLittleSharedMemory) {
  const AttentionArgs args{
      .queries = 222, .keys = 222, .heads = 16, .kv_heads = 8, .head_dim = 128, .is_causal = true};
  ops::DeviceCaps small = hopper();
  small.block_shared_bytes = 101376;  // sm_89, sm_120
  EXPECT_EQ(choose_attention_tile(args, hopper()).key_parts, 2);
  EXPECT_EQ(choose_attention_tile(args, small).key_parts, 1);
}

TEST(GemmTileFits, RefusesWhatTheBodyCannotRun) {
  EXPECT_TRUE(gemm_tile_fits(GemmEpilogue::kBias, {.columns = 128, .cluster_m = 2}));
  EXPECT_FALSE(gemm_tile_fits(GemmEpilogue::kBias, {.columns = 96, .cluster_m = 4}))
      << "a part of 24 rows of w is no whole group";
  EXPECT_FALSE(
      gemm_tile_fits(GemmEpilogue::kBias, {.columns = 128, .cluster_m = 4, .cluster_n = 4}))
      << "clusters have at most 8 blocks";
  EXPECT_FALSE(gemm_tile_fits(GemmEpilogue::kSwiGlu, {.columns = 128, .split_k = 2}));
  EXPECT_FALSE(gemm_tile_fits(GemmEpilogue::kHeadRope, {.columns = 128, .split_k = 4}));
}

TEST(CheckGemm, NamesWhatDoesNotFit) {
  EXPECT_TRUE(check_gemm({.m = 1, .n = 16, .k = 8}).ok());
  EXPECT_THAT(check_gemm({.m = 1, .n = 24, .k = 8}).message(), testing::HasSubstr("16"));
  EXPECT_FALSE(check_gemm({.m = 1, .n = 16, .k = 12}).ok());
  EXPECT_FALSE(check_gemm({.m = 0, .n = 16, .k = 8}).ok());
  EXPECT_FALSE(check_gemm({.epilogue = GemmEpilogue::kHeadRope, .m = 1, .n = 192, .k = 8}).ok());
}

TEST(CheckAttention, NamesWhatDoesNotFit) {
  AttentionArgs args{.queries = 4, .keys = 4, .heads = 4, .kv_heads = 2, .head_dim = 72};
  EXPECT_TRUE(check_attention(args).ok());
  args.head_dim = 64;
  EXPECT_THAT(check_attention(args).message(), testing::HasSubstr("64"));
  args.head_dim = 72;
  args.kv_heads = 3;
  EXPECT_FALSE(check_attention(args).ok());
  args.kv_heads = 2;
  args.keys = 5;
  EXPECT_TRUE(check_attention(args).ok());
  args.is_causal = true;
  EXPECT_FALSE(check_attention(args).ok());
}

TEST(ChooseAttentionTile, ReachesEveryMultiprocessorWhereThereIsWork) {
  for (const int64_t t : {17, 51, 116, 222, 411}) {
    const AttentionArgs args{
        .queries = t, .keys = t, .heads = 16, .kv_heads = 8, .head_dim = 128, .is_causal = true};
    const AttentionTile tile = choose_attention_tile(args, hopper());
    EXPECT_GE(tile.row_warps, 1);
    EXPECT_LE(tile.row_warps, 4);
    EXPECT_LE(tile.key_parts, 2) << "shared memory";
    if (tile.row_warps > 1 && t > 64) {
      EXPECT_GE(16 * ((t + 16 * tile.row_warps - 1) / (16 * tile.row_warps)), 132);
    }
  }
}

TEST(PlanVitBlock, HasTheWorkspaceOfItsIntermediates) {
  const VitBlockShape shape{.images = 2, .patches = 360, .width = 1152, .heads = 16, .ffn = 4304};
  ops::DeviceCaps older = hopper();
  older.compute_capability = 89;
  const auto plan = plan_vit_block(shape, older);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_FALSE(plan.value().norms_behind);
  // normed, q k v, attended in bf16; the middle in f32; the hidden layer in bf16
  const size_t rows = size_t{720} * (1152 * 2 * 5 + 1152 * 4 + 4304 * 2);
  EXPECT_EQ(plan.value().workspace_bytes, rows);
  const auto behind = plan_vit_block(shape, hopper());
  ASSERT_TRUE(behind.ok()) << behind.status().message();
  EXPECT_TRUE(behind.value().norms_behind);
  // statistics of 768 rows, centres of 720
  EXPECT_EQ(behind.value().workspace_bytes, rows + size_t{768} * kMostRowParts * 8 + 3072);
}

TEST(CanNormBehind, NeedsHopperAndFewParts) {
  const GemmTile narrow{.columns = 64, .split_k = 4};
  const GemmTile wide{.columns = 128, .split_k = 4};
  EXPECT_EQ(gemm_row_parts(narrow, 1152), 36)
      << "blocks that split the depth in 4 have half a tile";
  EXPECT_EQ(gemm_row_parts(wide, 1152), 18);
  EXPECT_EQ(gemm_row_parts({.columns = 256}, 1152), 5);
  EXPECT_FALSE(can_norm_behind(narrow, 1152, hopper()));
  EXPECT_TRUE(can_norm_behind(wide, 1152, hopper()));
  ops::DeviceCaps older = hopper();
  older.compute_capability = 89;
  EXPECT_FALSE(can_norm_behind(wide, 1152, older));
}

TEST(PlanVitBlock, RefusesOtherHeads) {
  const VitBlockShape shape{.images = 1, .patches = 4, .width = 256, .heads = 4, .ffn = 512};
  EXPECT_THAT(plan_vit_block(shape, hopper()).status().message(),
              testing::HasSubstr("heads of 64"));
}

TEST(PlanLmBlock, RefusesOtherHeads) {
  const LmBlockShape shape{
      .tokens = 4, .width = 256, .heads = 4, .kv_heads = 2, .head_dim = 64, .ffn = 512};
  EXPECT_THAT(plan_lm_block(shape, hopper()).status().message(), testing::HasSubstr("64"));
}

TEST(WorkspaceCutter, AlignsParts) {
  std::byte base[1024];
  WorkspaceCutter cutter(base);
  EXPECT_EQ(cutter.take(3), base);
  EXPECT_EQ(cutter.take(256), base + 256);
  EXPECT_EQ(cutter.used_bytes(), 512U);
}

}  // namespace
}  // namespace sinew::cuda
