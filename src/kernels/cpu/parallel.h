// How kernels use threads. Only independent items (rows, heads) are handed out, never parts of a
// sum, so results do not depend on the number of threads.
#pragma once

#include "base/thread_pool.h"

#include <algorithm>
#include <cstdint>

namespace sinew::cpu {

// Below this many elements of simple arithmetic (some 10 us on one core) waking the other threads
// costs more than they save.
inline constexpr int64_t kParallelWork = 1 << 15;

// Elements that `exp` and its kin count for, against one addition.
inline constexpr int64_t kTranscendentalWork = 8;

// Calls body(i) for 0 <= i < items, on all threads when `work` (elements in all) is worth it.
template <class Body>
void parallel_for(ThreadPool& pool, int64_t items, int64_t work, const Body& body) {
  constexpr int64_t kPiecesAThread = 8;  // few enough to claim cheaply, many enough to even out
  if (work < kParallelWork) {
    for (int64_t i = 0; i < items; ++i) {
      body(i);
    }
    return;
  }
  const int64_t pieces = std::min(items, pool.threads() * kPiecesAThread);
  pool.run(pieces, [&](int64_t piece, int /*thread*/) {
    for (int64_t i = items * piece / pieces; i < items * (piece + 1) / pieces; ++i) {
      body(i);
    }
  });
}

// Elements that the loops below handle at a time.
inline constexpr int64_t kPieceElements = 2048;

// Calls body(first, count) for consecutive pieces of `elements` elements.
template <class Body>
void parallel_pieces(ThreadPool& pool, int64_t elements, int64_t work_per_element,
                     const Body& body) {
  parallel_for(pool, (elements + kPieceElements - 1) / kPieceElements, elements * work_per_element,
               [&](int64_t i) {
                 const int64_t first = i * kPieceElements;
                 body(first, std::min(elements - first, kPieceElements));
               });
}

}  // namespace sinew::cpu
