// In a file of its own, and not in a library of helpers: every executable that links it has the
// counter.
#include "support/allocation_count.h"

#include <atomic>
#include <cerrno>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define SINEW_COUNTS_MALLOC 0
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

int posix_memalign(void** block, size_t alignment, size_t bytes) {
  ++allocations;
  *block = __libc_memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}

}  // extern "C"
#endif

namespace sinew::test {

bool counts_allocations() {
  return SINEW_COUNTS_MALLOC != 0;
}

int64_t allocation_count() {
  return allocations;
}

}  // namespace sinew::test
