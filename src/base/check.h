// SINEW_CHECK aborts on a programmer's mistake at load or plan time; it is always on.
// Nothing that a file, flag or network message can contain may trip it: that is what Status is for.
#pragma once

namespace sinew {

// Prints the failed condition with its place to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace sinew

#define SINEW_CHECK(condition)                               \
  do {                                                       \
    if (!(condition)) {                                      \
      ::sinew::check_failed(#condition, __FILE__, __LINE__); \
    }                                                        \
  } while (false)

// The same inside inner loops and kernels: only in builds without NDEBUG.
#ifdef NDEBUG
#define SINEW_DCHECK(condition) \
  do {                          \
  } while (false)
#else
#define SINEW_DCHECK(condition) SINEW_CHECK(condition)
#endif
