// What holds for every op: the right numbers, nothing written outside, the same bits whatever the
// number of threads, repeatable runs.
#include "base/float16.h"
#include "kernels_cpu/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>

namespace sinew::cpu::test {
namespace {

void expect_close(const Case& c, size_t result, const std::vector<float>& actual) {
  ASSERT_EQ(actual.size(), c.expected[result].size()) << c.name;
  ASSERT_EQ(actual.size(), c.bound[result].size()) << c.name;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = std::abs(static_cast<double>(actual[i]) - c.expected[result][i]);
    ASSERT_LE(difference, c.bound[result][i])
        << c.name << ": result " << result << ", element " << i << ": " << actual[i]
        << " instead of " << c.expected[result][i];
  }
}

TEST(EveryOp, MatchesNaiveDoubleLoopsAndStaysInItsMemory) {
  for (const Case& c : all_cases()) {
    Bound bound(c);
    ASSERT_NO_FATAL_FAILURE(bound.make()) << c.name;
    bound.run();
    EXPECT_TRUE(bound.guards_intact()) << c.name;
    for (size_t i = 0; i < c.dst_shapes.size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(expect_close(c, i, bound.result(i)));
    }
  }
}

TEST(EveryOp, GivesTheSameBitsAgain) {
  for (const Case& c : all_cases()) {
    Bound bound(c);
    bound.make();
    bound.run();
    const std::vector<float> first = bound.result();
    bound.run();
    EXPECT_TRUE(same_bits(first, bound.result())) << c.name;
  }
}

TEST(EveryOp, GivesTheSameBitsOnOneAndFourThreads) {
  for (const Case& c : all_cases()) {
    const auto serial = run_case(c, 1);
    const auto parallel = run_case(c, 4);
    for (size_t i = 0; i < serial.size(); ++i) {
      EXPECT_TRUE(same_bits(serial[i], parallel[i])) << c.name;
    }
  }
}

// What only products read is stored as bf16: the f32 result, rounded once.
TEST(EveryOp, StoresBf16AsItsF32ResultRounded) {
  std::set<ops::OpKind> stored;
  for (const Case& c : all_cases()) {
    Case narrow = c;
    narrow.dst_dtype = DType::kBf16;
    Case wide = c;
    wide.dst_dtype = DType::kF32;
    if (c.dst_shapes.size() != 1 || find_row(narrow) == nullptr || find_row(wide) == nullptr) {
      continue;
    }
    stored.insert(c.op);
    Bound bound(narrow);
    bound.make();
    bound.run();
    EXPECT_TRUE(bound.guards_intact()) << c.name;
    std::vector<float> expected = run_case(wide)[0];
    for (float& x : expected) {
      x = to_float(to_bf16(x));
    }
    EXPECT_TRUE(same_bits(bound.result(), expected)) << c.name;
  }
  using ops::OpKind;
  const std::set<OpKind> expected = {
      OpKind::kLinear,    OpKind::kLayerNorm,      OpKind::kRmsNorm,  OpKind::kAdd,
      OpKind::kMul,       OpKind::kModulate,       OpKind::kGeluTanh, OpKind::kGeluErf,
      OpKind::kSilu,      OpKind::kRelu,           OpKind::kRope,     OpKind::kPatchify,
      OpKind::kAttention, OpKind::kNormalizeFrames};
  EXPECT_EQ(stored, expected);
}

TEST(EveryOp, HasARowAndACase) {
  std::set<ops::OpKind> rows;
  std::set<ops::OpKind> cases;
  std::set<std::string_view> names;
  for (const CpuRow& row : cpu_rows()) {
    rows.insert(row.row.op);
    EXPECT_TRUE(names.insert(row.row.name).second) << row.row.name << " appears twice";
    EXPECT_NE(row.make, nullptr) << row.row.name;
    EXPECT_NE(row.row.refuse, nullptr) << row.row.name;
  }
  for (const Case& c : all_cases()) {
    cases.insert(c.op);
  }
  // The last enumerator bounds the walk: a new op extends the enumeration or fails here.
  for (int i = 0; i <= static_cast<int>(ops::OpKind::kResizePositions); ++i) {
    const auto op = static_cast<ops::OpKind>(i);
    EXPECT_TRUE(rows.contains(op)) << "no CPU row for " << ops::op_name(op);
    EXPECT_TRUE(cases.contains(op)) << "no test case for " << ops::op_name(op);
  }
}

std::optional<std::string> refusal_of(const CpuRow& row, DType source, DType result,
                                      DType product = DType::kF32) {
  ops::Plan plan;
  plan.values.resize(2);
  plan.values[0].dtype = source;
  plan.values[1].dtype = result;
  plan.product_dtype = product;
  ops::Step step;
  step.op = row.row.op;
  step.srcs = {ops::Value{0}};
  step.dsts = {ops::Value{1}};
  return row.row.refuse(plan, step);
}

TEST(EveryOp, HasARowForF32AndSaysWhichTypeItCannotRead) {
  std::set<ops::OpKind> reads_f32;
  for (const CpuRow& row : cpu_rows()) {
    const auto f32 = refusal_of(row, DType::kF32, DType::kF32);
    if (!f32) {
      reads_f32.insert(row.row.op);
    } else {
      EXPECT_NE(f32->find("F32"), std::string::npos) << row.row.name;
    }
    const auto f16 = refusal_of(row, DType::kF16, DType::kF32);
    ASSERT_TRUE(f16.has_value()) << row.row.name;
  }
  EXPECT_EQ(reads_f32.size(), static_cast<size_t>(ops::OpKind::kResizePositions) + 1);
}

}  // namespace
}  // namespace sinew::cpu::test
