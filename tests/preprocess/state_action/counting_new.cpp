// In a file of its own: where containers are inlined beside them, the compiler takes malloc and
// free inside these operators for a mismatch.
#include "preprocess/state_action/counting_new.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> allocations{0};  // NOLINT: what the replaced operator counts

}  // namespace

size_t sinew::preprocess::testing::allocation_count() {
  return allocations;
}

// The array and nothrow forms of the standard library end up here.
void* operator new(size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) {
    return memory;
  }
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, size_t /*size*/) noexcept {
  std::free(memory);
}
