// What programs of one session share: parameters and results of once-steps are on the device once.
#include "engine_cuda/plans.h"

#include <gtest/gtest.h>

namespace sinew::engine {
namespace {

// rows x [t, 64] -> linear, times a constant that is computed once; and a table that depends on t.
ops::Plan record(int64_t tokens) {
  ops::Builder b;
  const ops::Value x = b.real_input("x", {tokens, 64});
  const ops::Value scale = b.once([&] { return b.silu(b.weight("scale", {64})); });
  const auto [cos, sin] = b.once([&] {
    return b.rope_table({.theta = 1e4, .head_dim = 32, .positions = tokens, .first_position = 0});
  });
  b.stage("all", [&] {
    const ops::Value turned = b.rope(x, cos, sin, 2);
    const ops::Value y = b.mul(b.linear(turned, b.weight("w", {64, 64}), {}), scale);
    b.output(y);
    return y;
  });
  return b.take();
}

class CudaSharing : public testing::TestWithParam<ops::Precision> {
 protected:
  void SetUp() override {
    if (!test::has_gpu()) {
      GTEST_SKIP() << "no GPU: " << cuda_system().problem;
    }
    backend_ = make_cuda_backend({}).value();
  }

  std::unique_ptr<Backend> backend_;
};

INSTANTIATE_TEST_SUITE_P(Precisions, CudaSharing,
                         testing::Values(ops::Precision::kFp32, ops::Precision::kBf16),
                         [](const auto& p) { return std::string(ops::precision_name(p.param)); });

TEST_P(CudaSharing, APlanForOtherShapesAddsOnlyWhatDependsOnThem) {
  ops::Plan small = record(5);
  ops::Plan large = record(50);
  test::pass(small, *backend_, GetParam());
  test::pass(large, *backend_, GetParam());
  const test::FlatWeights weights(small);
  const auto first = backend_->bind(small, weights);
  ASSERT_TRUE(first.ok()) << first.status().message();
  const MemoryUse before = backend_->memory();
  const auto second = backend_->bind(large, weights);
  ASSERT_TRUE(second.ok()) << second.status().message();
  const MemoryUse after = backend_->memory();
  EXPECT_EQ(after.weight_bytes, before.weight_bytes);
  EXPECT_EQ(after.constant_bytes - before.constant_bytes, 2U * 3328U);  // 50 x 16 f32, padded
}

TEST_P(CudaSharing, BindingAnewAfterTheArenaMovedKeepsWeightsConstantsAndBits) {
  ops::Plan small = record(5);
  ops::Plan large = record(500);
  test::pass(small, *backend_, GetParam());
  test::pass(large, *backend_, GetParam());
  const test::FlatWeights weights(small);
  auto first = backend_->bind(small, weights);
  ASSERT_TRUE(first.ok()) << first.status().message();
  const auto fill = [](Program& program, const ops::Plan& plan) {
    float value = -3;
    for (float& x : program.view(plan.inputs[0]).as<float>()) {
      x = value += 0.01F;
    }
  };
  const auto result = [&](Program& program) {
    EXPECT_TRUE(program.run({}).ok());
    const auto values = program.view(small.outputs[0]).as<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  fill(*first.value(), small);
  const std::vector<float> expected = result(*first.value());
  EXPECT_NE(expected.front(), 0.0F);
  const int generation = backend_->arena_generation();
  const auto second = backend_->bind(large, weights);
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_NE(backend_->arena_generation(), generation);
  const MemoryUse before = backend_->memory();
  first = backend_->bind(small, weights);
  ASSERT_TRUE(first.ok()) << first.status().message();
  const MemoryUse after = backend_->memory();
  EXPECT_EQ(after.weight_bytes, before.weight_bytes);
  EXPECT_EQ(after.constant_bytes, before.constant_bytes);
  fill(*first.value(), small);
  EXPECT_EQ(result(*first.value()), expected);
}

}  // namespace
}  // namespace sinew::engine
