// How kernels use threads. Only independent items (rows, heads) are handed out, never parts of a
// sum, so results do not depend on the number of threads.
#pragma once

#include <cstdint>

namespace sinew::cpu {

// Below this many elements of simple arithmetic (some 10 us on one core) waking the other threads
// costs more than they save.
inline constexpr int64_t kParallelWork = 1 << 15;

// Elements that `exp` and its kin count for, against one addition.
inline constexpr int64_t kTranscendentalWork = 8;

// Calls body(i) for 0 <= i < items, on all threads when `work` (elements in all) is worth it.
template <class Body>
void parallel_for(int64_t items, int64_t work, const Body& body) {
#pragma omp parallel for schedule(static) if (work >= kParallelWork)
  for (int64_t i = 0; i < items; ++i) {
    body(i);
  }
}

// Calls body(first, count) for consecutive pieces of `elements` elements.
template <class Body>
void parallel_pieces(int64_t elements, int64_t work_per_element, const Body& body) {
  constexpr int64_t kPiece = 2048;
  parallel_for((elements + kPiece - 1) / kPiece, elements * work_per_element, [&](int64_t i) {
    const int64_t first = i * kPiece;
    body(first, elements - first < kPiece ? elements - first : kPiece);
  });
}

}  // namespace sinew::cpu
