// What an executable allocates: linking allocation_count.cpp puts a counter in front of malloc.
#pragma once

#include <cstdint>

namespace sinew::test {

// False under a sanitizer, which has a malloc of its own: the count stays 0.
bool counts_allocations();

// Allocations of the process since it started, by all threads, operator new's and the libraries'.
int64_t allocation_count();

}  // namespace sinew::test
