// What this machine can do at most, measured: the bounds that measurements are held against. A
// probe of peak arithmetic for another instruction set is one more row in machine_bounds.cpp.
#pragma once

#include "ops/passes.h"

#include "sinew/result.h"

#include <optional>
#include <string_view>

namespace sinew::cpu {

// Bytes a second that `threads` threads together read from a buffer larger than the caches. Takes
// some tenths of a second. kOutOfMemory without room for the buffer.
Result<double> measure_read_bandwidth(int threads);

struct ArithmeticPeak {
  double flop_per_second = 0;
  std::string_view instructions;  // "avx512f fma"
};

// What independent multiply-adds of the precision's arithmetic reach on `threads` threads, with the
// widest instructions that this CPU has. Takes some tenths of a second. Nothing for a precision
// without a probe.
std::optional<ArithmeticPeak> measure_arithmetic_peak(ops::Precision precision, int threads);

}  // namespace sinew::cpu
