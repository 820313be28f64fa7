#include "ops/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sinew::ops {
namespace {

using testing::HasSubstr;

TEST(Builder, SettlesShapes) {
  Builder b;
  const Value x = b.real_input("x", {5, 8});
  const Value ids = b.index_input("ids", {3});
  EXPECT_EQ(b.shape(b.linear(x, b.weight("w", {4, 8}), {})), (Shape{5, 4}));
  EXPECT_EQ(b.shape(b.linear(x, b.weight("w_in_out", {8, 4}), {}, true)), (Shape{5, 4}));
  EXPECT_EQ(b.shape(b.embed(b.weight("table", {100, 8}), ids)), (Shape{3, 8}));
  EXPECT_EQ(b.shape(b.gather_rows(x, ids)), (Shape{3, 8}));
  EXPECT_EQ(b.shape(b.concat_rows(x, x)), (Shape{10, 8}));
  EXPECT_EQ(b.shape(b.slice_rows(x, 1, 2)), (Shape{2, 8}));
  EXPECT_EQ(b.shape(b.patchify(b.real_input("pixels", {2, 3, 28, 56}), 14)),
            (Shape{2 * 2 * 4, 588}));
  EXPECT_EQ(b.shape(b.pixel_shuffle(b.real_input("grid", {2 * 2 * 4, 6}), 2, 4)), (Shape{4, 24}));
  EXPECT_EQ(b.shape(b.resize_positions(b.weight("positions", {256, 6}), 8, 10)), (Shape{80, 6}));
}

TEST(Builder, ViewsShareTheRootAndAddTheirOffsets) {
  Builder b;
  const Value x = b.real_input("x", {4, 3, 2});
  const Value rows = b.slice_rows(x, 1, 3);                         // [3, 3, 2] at 6
  const Value inner = b.slice_rows(b.reshape(rows, {9, 2}), 4, 1);  // at 6 + 8
  const Plan plan = b.take();
  EXPECT_EQ(plan.root(inner), x);
  EXPECT_EQ(plan.info(inner).alias_offset, 14);
  EXPECT_EQ(plan.info(inner).shape, (Shape{1, 2}));
  EXPECT_TRUE(plan.steps.empty());
}

TEST(Builder, RecordsOneWeightOnce) {
  Builder b;
  EXPECT_EQ(b.weight("w", {4, 8}), b.weight("w", {4, 8}));
}

TEST(BuilderDeathTest, StopsAModelMistake) {
  Builder b;
  const Value x = b.real_input("x", {5, 8});
  EXPECT_DEATH(b.linear(x, b.weight("w", {4, 9}), {}), "check failed");
  EXPECT_DEATH(b.slice_rows(x, 4, 2), "check failed");
  EXPECT_DEATH(b.add(x, b.real_input("y", {3, 8})), "check failed");
}

TEST(PlanText, NamesSitesStagesAndModelLines) {
  Builder b;
  const Value x = b.real_input("x", {5, 8});
  const Value y = b.stage("vision", [&] { return b.gelu_tanh(x); });
  b.site("vis.out", y);
  b.output(y);
  const std::string text = plan_text(b.take());
  EXPECT_THAT(text, HasSubstr("input x[5, 8]"));
  EXPECT_THAT(text, HasSubstr("stage vision"));
  EXPECT_THAT(text, HasSubstr("= gelu_tanh(x[5, 8]) site=vis.out"));
  EXPECT_THAT(text, HasSubstr("builder_test.cpp:"));
}

}  // namespace
}  // namespace sinew::ops
