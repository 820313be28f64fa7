// What holds for every op: the right numbers, nothing written outside, the same bits whatever the
// number of threads, repeatable runs.
#include "kernels_cpu/support.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <set>

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
    WeightCache weights;
    Bound bound(c);
    ASSERT_NO_FATAL_FAILURE(bound.make(weights)) << c.name;
    bound.run();
    EXPECT_TRUE(bound.guards_intact()) << c.name;
    for (size_t i = 0; i < c.dst_shapes.size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(expect_close(c, i, bound.result(i)));
    }
  }
}

TEST(EveryOp, GivesTheSameBitsAgain) {
  for (const Case& c : all_cases()) {
    WeightCache weights;
    Bound bound(c);
    bound.make(weights);
    bound.run();
    const std::vector<float> first = bound.result();
    bound.run();
    EXPECT_TRUE(same_bits(first, bound.result())) << c.name;
  }
}

TEST(EveryOp, GivesTheSameBitsOnOneAndFourThreads) {
  const int threads = omp_get_max_threads();
  for (const Case& c : all_cases()) {
    omp_set_num_threads(1);
    const auto serial = run_case(c);
    omp_set_num_threads(4);
    const auto parallel = run_case(c);
    for (size_t i = 0; i < serial.size(); ++i) {
      EXPECT_TRUE(same_bits(serial[i], parallel[i])) << c.name;
    }
  }
  omp_set_num_threads(threads);
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

TEST(EveryOp, RefusesActivationsThatAreNotF32) {
  ops::Plan plan;
  plan.values.resize(2);
  plan.values[1].dtype = DType::kBf16;
  ops::Step step;
  step.srcs = {ops::Value{0}};
  step.dsts = {ops::Value{0}};
  for (const CpuRow& row : cpu_rows()) {
    EXPECT_FALSE(row.row.refuse(plan, step).has_value()) << row.row.name;
  }
  step.srcs = {ops::Value{1}};
  for (const CpuRow& row : cpu_rows()) {
    ASSERT_TRUE(row.row.refuse(plan, step).has_value()) << row.row.name;
    EXPECT_NE(row.row.refuse(plan, step)->find("BF16"), std::string::npos);
  }
  plan.values[1].kind = ops::ValueKind::kWeight;  // parameters may be stored in any type
  for (const CpuRow& row : cpu_rows()) {
    EXPECT_FALSE(row.row.refuse(plan, step).has_value()) << row.row.name;
  }
}

}  // namespace
}  // namespace sinew::cpu::test
