// No kernel allocates while it runs. malloc is counted for the whole process, so that operator new
// and the libraries are seen too.
#include "kernels_cpu/support.h"
#include "support/allocation_count.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace sinew::cpu::test {
namespace {

TEST(Allocation, NoKernelAllocatesWhileItRuns) {
  if (!sinew::test::counts_allocations()) {
    GTEST_SKIP() << "malloc is not counted in this build";
  }
  for (const Case& c : all_cases()) {
    Bound bound(c);
    bound.make();
    bound.run();
    const int64_t before = sinew::test::allocation_count();
    bound.run();
    const int64_t after = sinew::test::allocation_count();
    EXPECT_EQ(after - before, 0) << c.name;
  }
  EXPECT_GT(sinew::test::allocation_count(), 0) << "the hook is not in place";
}

}  // namespace
}  // namespace sinew::cpu::test
