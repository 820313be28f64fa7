// What this processor and this system let a program use, asked once.
#pragma once

// Functions for several x86 instruction sets can be compiled and chosen at run time. Sanitizers
// keep them: they are plain functions, not loader-resolved clones.
#if defined(__x86_64__) && defined(__linux__)
#define SINEW_X86_TARGETS 1
#endif

namespace sinew {

struct InstructionSets {
  bool avx2_fma = false;
  bool avx512f = false;
  bool avx512_bf16 = false;   // with avx512f, bw and vl
  bool avx512_bytes = false;  // vbmi and vnni, with avx512f, bw and vl
  bool amx_bf16 = false;      // and the system gave this process permission for tile registers
};

const InstructionSets& instruction_sets();

}  // namespace sinew
