// What holds for the tables on any machine.
#include "kernels/cuda/kernel.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace sinew::cuda {
namespace {

TEST(CudaTable, EveryOpHasARowThatAcceptsAllSteps) {
  std::set<std::string_view> names;
  std::set<ops::OpKind> ops_with_rows;
  for (const CudaRow& row : cuda_rows()) {
    EXPECT_TRUE(names.insert(row.row.name).second) << row.row.name << " appears twice";
    EXPECT_NE(row.make, nullptr) << row.row.name;
    ops_with_rows.insert(row.row.op);
  }
  for (int i = 0; i <= static_cast<int>(ops::OpKind::kResizePositions); ++i) {
    const auto op = static_cast<ops::OpKind>(i);
    EXPECT_TRUE(ops_with_rows.contains(op)) << "no CUDA row for " << ops::op_name(op);
  }
  for (const CudaCompositeRow& row : cuda_composite_rows()) {
    EXPECT_TRUE(names.insert(row.row.name).second) << row.row.name << " appears twice";
    EXPECT_NE(row.make, nullptr) << row.row.name;
  }
}

TEST(CudaTable, HeadsThatAreTooWideAreRefusedWithTheirWidth) {
  ops::Plan plan;
  plan.values.resize(1);
  plan.values[0].shape = {4, 600};
  ops::Step step;
  step.op = ops::OpKind::kAttention;
  step.srcs = {ops::Value{0}};
  step.attributes = ops::AttentionAttributes{.heads = 2, .kv_heads = 2};
  for (const CudaRow& row : cuda_rows()) {
    if (row.row.op == step.op) {
      const auto reason = row.row.refuse(plan, step);
      ASSERT_TRUE(reason.has_value());
      EXPECT_NE(reason->find("300"), std::string::npos) << *reason;
    }
  }
}

}  // namespace
}  // namespace sinew::cuda
