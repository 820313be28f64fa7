// Parameters that a later kernel reads, fetched into L2 by an earlier one that leaves the memory
// idle.
#pragma once

#include <cstddef>

namespace sinew::cuda {

struct Prefetch {
  const void* data = nullptr;
  size_t bytes = 0;
};

}  // namespace sinew::cuda
