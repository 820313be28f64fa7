// The steady state: shapes may alternate without changing a bit, and calls of a known shape
// allocate nothing.
#include "support/golden_case.h"
#include "support/test_device.h"

#include "sinew/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define SINEW_COUNTS_MALLOC 0  // the sanitizer has a malloc of its own
#else
#define SINEW_COUNTS_MALLOC 1
#endif

namespace {

// Counts every allocation of the process, operator new's and the libraries' as well.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): malloc has no other state
std::atomic<int64_t> allocations{0};

}  // namespace

#if SINEW_COUNTS_MALLOC
extern "C" {

// NOLINTBEGIN(readability-identifier-naming): the C library's names
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t items, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

// NOLINTEND(readability-identifier-naming)

void* malloc(size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}

void* calloc(size_t items, size_t bytes) {
  ++allocations;
  return __libc_calloc(items, bytes);
}

void* realloc(void* block, size_t bytes) {
  ++allocations;
  return __libc_realloc(block, bytes);
}

void* aligned_alloc(size_t alignment, size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}

}  // extern "C"
#endif

namespace sinew {
namespace {

class SteadyStateTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    golden_ = test::load_golden_case("tests/golden", "main").value();
    policy_ = Policy::load({.model_path = "tests/golden/nano/checkpoint",
                            .embodiment_tag = "new_embodiment",
                            .device = test::test_device(),
                            .precision = GetParam()})
                  .value();
  }

  std::vector<float> act(const char* text) {
    golden_->samples[0].language = text;
    const Status status = policy_->act(golden_->samples[0].observation(), chunk_);
    EXPECT_TRUE(status.ok()) << status.message();
    return chunk_.normalized;
  }

  std::optional<test::GoldenCase> golden_;
  std::optional<Policy> policy_;
  ActionChunk chunk_;
};

INSTANTIATE_TEST_SUITE_P(Precisions, SteadyStateTest, testing::Values("fp32", "bf16"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST_P(SteadyStateTest, AlternatingShapesKeepTheirBits) {
  const std::string longer =
      "put the very large red cube into the smallest of the seven wooden bowls on the table";
  const auto first = act("go");
  const auto second =
      act(longer.c_str());  // a larger arena: the first program is bound anew afterwards
  EXPECT_EQ(first, act("go"));
  EXPECT_EQ(second, act(longer.c_str()));
  for (int i = 0; i < 12; ++i) {  // more shapes than a session keeps
    act((std::string(static_cast<size_t>(i), 'x') + " y z").c_str());
    act(std::string(static_cast<size_t>(3 * i + 1), '7').c_str());
  }
  EXPECT_EQ(first, act("go"));
  EXPECT_EQ(second, act(longer.c_str()));
}

TEST_P(SteadyStateTest, AHundredCallsOfAKnownShapeAllocateNothing) {
  if (SINEW_COUNTS_MALLOC == 0) {
    GTEST_SKIP() << "malloc is not counted in this build";
  }
  for (int i = 0; i < 3; ++i) {
    act("pick up the red cube");
  }
  const Observation observation = golden_->samples[0].observation();
  EXPECT_GT(allocations.load(), 0) << "the hook is not in place";
  const int64_t before = allocations;
  bool is_ok = true;
  for (int i = 0; i < 100; ++i) {
    is_ok = policy_->act(observation, chunk_).ok() && is_ok;
  }
  const int64_t after = allocations;
  EXPECT_TRUE(is_ok);
  // The driver of a GPU allocates for itself now and then, which no caller can change.
  const int64_t allowed = test::test_device() == "cpu" ? 0 : 50;
  EXPECT_LE(after - before, allowed);
}

TEST_P(SteadyStateTest, AStateThatDrewAWarningIsPreparedWithoutAllocation) {
  for (std::vector<float>& values : golden_->samples[0].state_values) {
    std::ranges::for_each(values, [](float& x) { x = 1000 + 57.3F * x; });
  }
  const Observation observation = golden_->samples[0].observation();
  PreparedInputs inputs;
  testing::internal::CaptureStderr();
  bool is_ok = policy_->prepare(observation, inputs).ok();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("far outside"), std::string::npos);
  const int64_t before = allocations;
  for (int i = 0; i < 10; ++i) {
    is_ok = policy_->prepare(observation, inputs).ok() && is_ok;
  }
  const int64_t after = allocations;
  EXPECT_TRUE(is_ok);
  EXPECT_EQ(after - before, 0);
}

}  // namespace
}  // namespace sinew
