#include "base/instruction_sets.h"

#if defined(SINEW_X86_TARGETS)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace sinew {
namespace {

#if defined(SINEW_X86_TARGETS)
// Linux saves tile registers (8 KB a thread) only for processes that ask (arch_prctl
// ARCH_REQ_XCOMP_PERM of XTILEDATA); threads started later inherit the permission.
bool request_tiles() {
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx_bf16() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kTile = 1U << 24;
  constexpr unsigned kBf16 = 1U << 22;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTile) != 0 && (d & kBf16) != 0;
}
#endif

InstructionSets ask() {
  InstructionSets has;
#if defined(SINEW_X86_TARGETS)
  __builtin_cpu_init();
  has.avx2_fma = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  has.avx512f = __builtin_cpu_supports("avx512f") != 0;
  const bool any_lanes = has.avx512f && __builtin_cpu_supports("avx512bw") != 0 &&
                         __builtin_cpu_supports("avx512vl") != 0;
  has.avx512_bf16 = any_lanes && __builtin_cpu_supports("avx512bf16") != 0;
  has.avx512_bytes = any_lanes && __builtin_cpu_supports("avx512vbmi") != 0 &&
                     __builtin_cpu_supports("avx512vnni") != 0;
  has.amx_bf16 = has.avx512_bf16 && has_amx_bf16() && request_tiles();
#endif
  return has;
}

}  // namespace

const InstructionSets& instruction_sets() {
  static const InstructionSets available = ask();
  return available;
}

}  // namespace sinew
