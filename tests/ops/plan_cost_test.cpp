#include "ops/plan_cost.h"

#include "ops/builder.h"

#include <gtest/gtest.h>

namespace sinew::ops {
namespace {

// A stage of one product with bias, and a stage that attends.
Plan small_plan(bool is_causal, int64_t segments) {
  Builder b;
  const Value x = b.real_input("x", {6, 8});
  const Value once = b.once([&] {
    return b.linear(b.weight("c", {1, 8}), b.weight("o", {8, 8}), {});
  });
  const Value y = b.stage("first", [&] {
    return b.add(b.linear(x, b.weight("w", {12, 8}), b.weight("b", {12})),
                 b.linear(once, b.weight("v", {12, 8}), {}));
  });
  const Value z = b.stage("second", [&] {
    const Value q = b.layer_norm(y, b.weight("g", {12}), b.weight("h", {12}), 1e-5F);
    return b.attention(
        q, q, q,
        {.heads = 3, .kv_heads = 3, .scale = 1, .is_causal = is_causal, .segments = segments});
  });
  b.output(z);
  return b.take();
}

TEST(PlanCost, CountsProductsByStage) {
  const auto costs = stage_costs(small_plan(false, 1), Precision::kFp32);
  ASSERT_EQ(costs.size(), 2U);
  EXPECT_EQ(costs[0].stage, "first");
  EXPECT_EQ(costs[0].flop, 2 * 6 * 12 * 8 + 2 * 1 * 12 * 8);  // the once-product is free
  EXPECT_EQ(costs[0].weight_bytes, 4 * (12 * 8 + 12 + 12 * 8));
  EXPECT_EQ(costs[1].stage, "second");
  EXPECT_EQ(costs[1].flop, 2 * 2 * 6 * 6 * 12);
  EXPECT_EQ(costs[1].weight_bytes, 4 * (12 + 12));
}

TEST(PlanCost, MasksAreNotComputed) {
  EXPECT_EQ(stage_costs(small_plan(true, 1), Precision::kFp32)[1].flop, 2 * 2 * (6 * 7 / 2) * 12);
  EXPECT_EQ(stage_costs(small_plan(false, 3), Precision::kFp32)[1].flop, 2 * 2 * (3 * 2 * 2) * 12);
}

TEST(PlanCost, MatricesHaveThePrecisionsWidth) {
  EXPECT_EQ(stage_costs(small_plan(false, 1), Precision::kBf16)[0].weight_bytes,
            2 * 12 * 8 + 4 * 12 + 2 * 12 * 8);
  EXPECT_EQ(stage_costs(small_plan(false, 1), Precision::kInt8)[0].weight_bytes,
            12 * 8 + 4 * 12 + 12 * 8);
}

TEST(PlanCost, SlicesAndLookedUpRowsCountAlone) {
  Builder b;
  const Value x = b.real_input("x", {5, 8});
  const Value slot = b.reshape(b.slice_rows(b.weight("slots", {32, 8, 4}), 7, 1), {8, 4});
  b.stage("slot", [&] { return b.linear(x, slot, {}, /*weights_in_out=*/true); });
  b.stage("table", [&] { return b.embed(b.weight("table", {1000, 8}), b.index_input("i", {3})); });
  const auto costs = stage_costs(b.take(), Precision::kFp32);
  EXPECT_EQ(costs[0].flop, 2 * 5 * 8 * 4);
  EXPECT_EQ(costs[0].weight_bytes, 4 * 8 * 4);
  EXPECT_EQ(costs[1].flop, 0);
  EXPECT_EQ(costs[1].weight_bytes, 4 * 3 * 8);
}

}  // namespace
}  // namespace sinew::ops
