// The test executable's operator new, which counts.
#pragma once

#include <cstddef>

namespace sinew::preprocess::testing {

// Calls of operator new so far, in all threads.
size_t allocation_count();

}  // namespace sinew::preprocess::testing
