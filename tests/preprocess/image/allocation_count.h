// Counts what an executable allocates: linking allocation_count.cpp replaces operator new.
#pragma once

#include <cstdint>

namespace sinew {

// Calls of operator new since the program started, by all threads.
int64_t allocation_count();

}  // namespace sinew
