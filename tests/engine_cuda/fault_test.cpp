// A kernel that faults: the run fails with what is known of it, nothing is returned as a result,
// and the session stays unhealthy. A fault ends the process's use of the GPU, so each runs in its
// own.
#include "engine_cuda/plans.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace sinew::engine {
namespace {

// Reads a row far outside of its source. Prints both runs' messages and exits with 7 if both failed
// as a device does.
[[noreturn]] void run_faulty(bool captures) {
  auto backend = make_cuda_backend({.captures = captures});
  if (!backend.ok()) {
    std::exit(1);
  }
  ops::Builder b;
  const ops::Value x = b.real_input("x", {4, 64});
  const ops::Value rows = b.index_input("rows", {2});
  b.stage("vision", [&] {
    const ops::Value y = b.gather_rows(x, rows);
    b.output(y);
    return y;
  });
  ops::Plan plan = b.take();
  test::pass(plan, *backend.value(), ops::Precision::kFp32);
  const test::FlatWeights weights(plan);
  auto program = backend.value()->bind(plan, weights);
  if (!program.ok() || !program.value()->run({}).ok()) {
    std::exit(2);
  }
  const auto indices = program.value()->view(plan.inputs[1]).as<int32_t>();
  indices[0] = 1 << 30;
  const Status first = program.value()->run({});
  const Status second = program.value()->run({});
  const auto bound_again = backend.value()->bind(plan, weights);
  std::fprintf(stderr, "first: %s\nsecond: %s\n", first.message().c_str(),
               second.message().c_str());
  const bool is_refused = first.code() == Code::kDevice && second.code() == Code::kDevice &&
                          !bound_again.ok() && bound_again.status().code() == Code::kDevice;
  std::_Exit(is_refused ? 7 : 3);
}

class CudaFaultDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(CudaFaultDeathTest, ACapturedRunSaysThatTheSessionIsLost) {
  if (!test::has_gpu()) {
    GTEST_SKIP() << "no GPU: " << cuda_system().problem;
  }
  EXPECT_EXIT(run_faulty(/*captures=*/true), testing::ExitedWithCode(7),
              "context is lost(.|\n)*second: the GPU session is unhealthy");
}

TEST_F(CudaFaultDeathTest, ACheckedRunNamesTheStepWithItsShapes) {
  if (!test::has_gpu()) {
    GTEST_SKIP() << "no GPU: " << cuda_system().problem;
  }
  EXPECT_EXIT(run_faulty(/*captures=*/false), testing::ExitedWithCode(7),
              "cuda:gather_rows in stage vision(.|\n)*F32 \\[4, 64\\]");
}

}  // namespace
}  // namespace sinew::engine
