// Takes the place of libFuzzer's tracing of compared numbers (link option --wrap, CMakeLists.txt),
// which tries what the code compares as bytes of the input. Where these are choices or words, no
// number of the code stands in them; and as the checks of the sanitizers compare too, tracing takes
// a fifth of an execution. Coverage, and strings that are compared, are traced as ever.
#include <cstdint>

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): names given by the
// compiler
extern "C" {
void __wrap___sanitizer_cov_trace_cmp1(uint8_t /*a*/, uint8_t /*b*/) {}

void __wrap___sanitizer_cov_trace_cmp2(uint16_t /*a*/, uint16_t /*b*/) {}

void __wrap___sanitizer_cov_trace_cmp4(uint32_t /*a*/, uint32_t /*b*/) {}

void __wrap___sanitizer_cov_trace_cmp8(uint64_t /*a*/, uint64_t /*b*/) {}

void __wrap___sanitizer_cov_trace_const_cmp1(uint8_t /*a*/, uint8_t /*b*/) {}

void __wrap___sanitizer_cov_trace_const_cmp2(uint16_t /*a*/, uint16_t /*b*/) {}

void __wrap___sanitizer_cov_trace_const_cmp4(uint32_t /*a*/, uint32_t /*b*/) {}

void __wrap___sanitizer_cov_trace_const_cmp8(uint64_t /*a*/, uint64_t /*b*/) {}

void __wrap___sanitizer_cov_trace_switch(uint64_t /*value*/, uint64_t* /*cases*/) {}
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
