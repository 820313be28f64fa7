#include "ops/passes.h"

#include "ops/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace sinew::ops {
namespace {

using testing::HasSubstr;

// A contract around one or more steps, as model/blocks has them.
struct Pair {
  static constexpr std::string_view kName = "pair";
  static constexpr int kVersion = 2;
  Value x;

  std::vector<Value> operands() const { return {x}; }
};

struct Outer {
  static constexpr std::string_view kName = "outer";
  static constexpr int kVersion = 1;
  Value x;

  std::vector<Value> operands() const { return {x}; }
};

Value pair(Builder& b, Value x) {
  return b.composite(Pair{x}, [&] { return b.relu(b.silu(x)); });
}

// gelu, outer(pair, relu), pair
Plan nested_plan() {
  Builder b;
  const Value x = b.real_input("x", {2, 4});
  b.stage("s", [&] {
    const Value y = b.gelu_erf(x);
    const Value z = b.composite(Outer{y}, [&] { return b.relu(pair(b, y)); });
    const Value out = pair(b, z);
    b.output(out);
    return out;
  });
  return b.take();
}

constexpr std::array<LeafRow, 4> kLeaves = {{{OpKind::kGeluErf, "leaf:gelu", nullptr},
                                             {OpKind::kSilu, "leaf:silu", nullptr},
                                             {OpKind::kRelu, "leaf:relu", nullptr},
                                             {OpKind::kAdd, "leaf:add", nullptr}}};

std::vector<std::string> lowerings(const Plan& plan) {
  std::vector<std::string> names;
  for (const Call& call : plan.calls) {
    names.push_back(call.lowering);
  }
  return names;
}

TEST(Select, FallsBackToLeaves) {
  Plan plan = nested_plan();
  ASSERT_TRUE(select(plan, kLeaves, {}).ok());
  EXPECT_EQ(lowerings(plan), (std::vector<std::string>{"leaf:gelu", "leaf:silu", "leaf:relu",
                                                       "leaf:relu", "leaf:silu", "leaf:relu"}));
}

TEST(Select, TakesTheOutermostCompositeThatAccepts) {
  const std::array<CompositeRow, 2> rows = {
      {{"pair", 2, "fused:pair", nullptr}, {"outer", 1, "fused:outer", nullptr}}};
  Plan plan = nested_plan();
  ASSERT_TRUE(select(plan, kLeaves, rows).ok());
  EXPECT_EQ(lowerings(plan), (std::vector<std::string>{"leaf:gelu", "fused:outer", "fused:pair"}));
  EXPECT_EQ(plan.calls[1].end_step - plan.calls[1].first_step, 3);
}

TEST(Select, KeepsRefusalsAndIgnoresOtherVersions) {
  const std::array<CompositeRow, 3> rows = {
      {{"outer", 1, "fused:outer",
        [](const Plan&, const CompositeCall&) -> std::optional<std::string> {
          return "needs more rows";
        }},
       {"pair", 1, "fused:old_pair", nullptr},
       {"pair", 2, "fused:pair", nullptr}}};
  Plan plan = nested_plan();
  ASSERT_TRUE(select(plan, kLeaves, rows).ok());
  EXPECT_EQ(lowerings(plan),
            (std::vector<std::string>{"leaf:gelu", "fused:pair", "leaf:relu", "fused:pair"}));
  EXPECT_EQ(plan.calls[1].refusals, (std::vector<std::string>{"fused:outer: needs more rows"}));
}

// A site's value has memory of its own, which what a composite keeps to itself has not.
TEST(Select, RefusesACompositeWithASiteInside) {
  constexpr std::array<CompositeRow, 2> kRows = {
      {{"pair", 2, "fused:pair", nullptr}, {"outer", 1, "fused:outer", nullptr}}};
  for (const bool is_view : {false, true}) {
    Builder b;
    const Value x = b.real_input("x", {2, 4});
    const Value y = b.composite(Outer{x}, [&] {
      const Value inner = pair(b, x);  // a result of the pair, but inside the outer composite
      b.site("inner", is_view ? b.slice_rows(inner, 1, 1) : inner);
      return b.relu(inner);
    });
    b.output(y);
    Plan plan = b.take();
    ASSERT_TRUE(select(plan, kLeaves, kRows).ok());
    EXPECT_EQ(lowerings(plan), (std::vector<std::string>{"fused:pair", "leaf:relu"}));
    EXPECT_EQ(plan.calls[0].refusals, (std::vector<std::string>{"outer: its inner is a site"}));
  }
}

TEST(Select, TakesACompositeWhoseResultOrOperandIsASite) {
  constexpr std::array<CompositeRow, 1> kRows = {{{"pair", 2, "fused:pair", nullptr}}};
  Builder b;
  const Value x = b.relu(b.real_input("x", {2, 4}));
  const Value y = pair(b, x);
  b.site("operand", x);
  b.site("result", b.reshape(y, {8}));
  b.output(y);
  Plan plan = b.take();
  ASSERT_TRUE(select(plan, kLeaves, kRows).ok());
  EXPECT_EQ(lowerings(plan), (std::vector<std::string>{"leaf:relu", "fused:pair"}));
}

TEST(Select, NamesTheOpThatNobodyRuns) {
  Plan plan = nested_plan();
  const Status status = select(plan, std::span(kLeaves).first(1), {});
  EXPECT_EQ(status.code(), Code::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("silu"));
  EXPECT_THAT(status.message(), HasSubstr("passes_test.cpp"));
}

TEST(FoldOnce, MovesStepsToTheFrontAndKeepsProducers) {
  Builder b;
  const Value x = b.real_input("x", {1, 4});
  const Value early = b.relu(x);
  const Value constant = b.once([&] { return b.silu(b.weight("w", {1, 4})); });
  const Value sum = b.add(early, constant);
  b.output(sum);
  Plan plan = b.take();
  fold_once(plan);
  EXPECT_TRUE(plan.steps[0].is_once);
  EXPECT_EQ(plan.info(constant).producer, 0);
  EXPECT_EQ(plan.info(early).producer, 1);
  EXPECT_EQ(plan.info(sum).producer, 2);
  ASSERT_TRUE(select(plan, kLeaves, {}).ok());
  EXPECT_EQ(plan.once_calls.size(), 1U);
  EXPECT_EQ(plan.calls.size(), 2U);
}

TEST(FoldOnce, MovesCompositesWithTheirSteps) {
  Builder b;
  const Value y = pair(b, b.real_input("x", {1, 4}));
  b.output(b.add(y, b.once([&] { return b.silu(b.weight("w", {1, 4})); })));
  Plan plan = b.take();
  fold_once(plan);
  ASSERT_EQ(plan.composites.size(), 1U);
  EXPECT_EQ(plan.composites[0].first_step, 1);
  EXPECT_EQ(plan.composites[0].end_step, 3);
}

TEST(FoldOnceDeathTest, RefusesOnceStepsThatDependOnInputs) {
  Builder b;
  const Value x = b.real_input("x", {1, 4});
  b.output(b.once([&] { return b.relu(x); }));
  Plan plan = b.take();
  EXPECT_DEATH(fold_once(plan), "check failed");
}

TEST(AssignPrecision, GivesTypesOrSaysNo) {
  Plan plan = nested_plan();
  ASSERT_TRUE(assign_precision(plan, Precision::kFp32).ok());
  EXPECT_EQ(plan.product_dtype, DType::kF32);
  for (const Precision precision : {Precision::kFp16, Precision::kInt8, Precision::kFp8}) {
    const Status status = assign_precision(plan, precision);
    EXPECT_EQ(status.code(), Code::kUnsupported);
    EXPECT_THAT(status.message(), HasSubstr(std::string(precision_name(precision))));
    EXPECT_EQ(precision_from_name(precision_name(precision)), precision);
  }
  EXPECT_FALSE(precision_from_name("fp64").has_value());
}

// bf16 is for what only products read; a value that anything else reads as well, residual sums
// above all, stays f32.
TEST(AssignPrecision, Bf16StoresWhatOnlyProductsReadAsBf16) {
  Builder b;
  const Value x = b.real_input("x", {3, 4});
  const Value rows = b.index_input("rows", {2});
  const Value w = b.weight("w", {4, 4});
  const Value normed = b.layer_norm(x, {}, {}, 1e-5F);         // read by two products
  const Value q = b.linear(normed, w, {});                     // read by attention alone
  const Value gathered = b.gather_rows(b.silu(normed), rows);  // silu is read as products read it
  const Value k = b.linear(gathered, w, {});
  const Value o = b.attention(q, k, b.reshape(k, {2, 4}), {.heads = 1, .kv_heads = 1, .scale = 1});
  const Value y = b.linear(o, w, {});
  const Value sum = b.add(y, x);  // y is read by add
  const Value once = b.once([&] { return b.relu(w); });
  const Value out = b.linear(sum, w, {});  // sum is read by a product and is an output
  b.output(sum);
  b.output(b.add(out, b.slice_rows(once, 0, 3)));
  Plan plan = b.take();
  fold_once(plan);
  ASSERT_TRUE(assign_precision(plan, Precision::kBf16).ok());
  EXPECT_EQ(plan.product_dtype, DType::kBf16);
  for (const Value v : {q, k, o, gathered}) {
    EXPECT_EQ(plan.info(v).dtype, DType::kBf16) << v.id;
  }
  for (const Value v : {x, normed, y, sum, out, once}) {
    EXPECT_EQ(plan.info(v).dtype, DType::kF32) << v.id;
  }
}

}  // namespace
}  // namespace sinew::ops
