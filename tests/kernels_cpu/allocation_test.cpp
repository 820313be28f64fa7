// No kernel allocates while it runs. malloc is counted for the whole process, so that operator new
// and the libraries are seen too.
#include "kernels_cpu/support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define SINEW_COUNTS_MALLOC 0  // the sanitizer has a malloc of its own
#else
#define SINEW_COUNTS_MALLOC 1
#endif

namespace {

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): malloc has no other state
std::atomic<int64_t> allocations{0};

}  // namespace

#if SINEW_COUNTS_MALLOC
extern "C" {

// NOLINTBEGIN(readability-identifier-naming): the C library's names
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t items, size_t bytes);
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

void* aligned_alloc(size_t alignment, size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}

}  // extern "C"
#endif

namespace sinew::cpu::test {
namespace {

TEST(Allocation, NoKernelAllocatesWhileItRuns) {
  if (SINEW_COUNTS_MALLOC == 0) {
    GTEST_SKIP() << "malloc is not counted in this build";
  }
  for (const Case& c : all_cases()) {
    Bound bound(c);
    bound.make();
    bound.run();
    const int64_t before = allocations;
    bound.run();
    const int64_t after = allocations;
    EXPECT_EQ(after - before, 0) << c.name;
  }
  EXPECT_GT(allocations.load(), 0) << "the hook is not in place";
}

}  // namespace
}  // namespace sinew::cpu::test
