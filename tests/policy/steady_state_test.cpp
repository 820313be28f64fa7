// The steady state: shapes may alternate without changing a bit, and calls of a known shape
// allocate nothing.
#include "support/golden_case.h"

#include "sinew/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

namespace {

// Counts every allocation of this executable's C++ code while it is switched on.
std::atomic<bool> counting{false};   // NOLINT(cppcoreguidelines-avoid-non-const-global-variables):
                                     // operator new has no state
std::atomic<size_t> allocations{0};  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

void* counted(size_t size) {
  if (counting.load(std::memory_order_relaxed)) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
  void* pointer = std::malloc(size == 0 ? 1 : size);
  if (pointer == nullptr) {
    std::abort();
  }
  return pointer;
}

}  // namespace

void* operator new(size_t size) {
  return counted(size);
}

void* operator new[](size_t size) {
  return counted(size);
}

void operator delete(void* pointer) noexcept {
  std::free(pointer);
}

void operator delete[](void* pointer) noexcept {
  std::free(pointer);
}

void operator delete(void* pointer, size_t) noexcept {
  std::free(pointer);
}

void operator delete[](void* pointer, size_t) noexcept {
  std::free(pointer);
}

namespace sinew {
namespace {

class SteadyStateTest : public testing::Test {
 protected:
  void SetUp() override {
    golden_ = test::load_golden_case("tests/golden", "main").value();
    policy_ = Policy::load({.model_path = "tests/golden/nano/checkpoint",
                            .embodiment_tag = "new_embodiment"})
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

TEST_F(SteadyStateTest, AlternatingShapesKeepTheirBits) {
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

TEST_F(SteadyStateTest, CallsOfAKnownShapeAllocateNothing) {
  for (int i = 0; i < 3; ++i) {
    act("pick up the red cube");
  }
  const Observation observation = golden_->samples[0].observation();
  counting = true;
  bool is_ok = true;
  for (int i = 0; i < 10; ++i) {
    is_ok = policy_->act(observation, chunk_).ok() && is_ok;
  }
  counting = false;
  EXPECT_TRUE(is_ok);
  EXPECT_EQ(allocations.load(), 0U);
}

TEST_F(SteadyStateTest, AStateThatDrewAWarningIsPreparedWithoutAllocation) {
  for (std::vector<float>& values : golden_->samples[0].state_values) {
    std::ranges::for_each(values, [](float& x) { x = 1000 + 57.3F * x; });
  }
  const Observation observation = golden_->samples[0].observation();
  PreparedInputs inputs;
  testing::internal::CaptureStderr();
  bool is_ok = policy_->prepare(observation, inputs).ok();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("far outside"), std::string::npos);
  allocations = 0;
  counting = true;
  for (int i = 0; i < 10; ++i) {
    is_ok = policy_->prepare(observation, inputs).ok() && is_ok;
  }
  counting = false;
  EXPECT_TRUE(is_ok);
  EXPECT_EQ(allocations.load(), 0U);
}

}  // namespace
}  // namespace sinew
