#include "kernels/cpu/instruction_sets.h"

#if defined(SINEW_X86_TARGETS)
#include <cpuid.h>
#include <sys/syscall.h>
#endif
#include <unistd.h>

namespace sinew::cpu {
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
  has.avx512_bf16 = has.avx512f && __builtin_cpu_supports("avx512bw") != 0 &&
                    __builtin_cpu_supports("avx512vl") != 0 &&
                    __builtin_cpu_supports("avx512bf16") != 0;
  has.amx_bf16 = has.avx512_bf16 && has_amx_bf16() && request_tiles();
#endif
  return has;
}

}  // namespace

const InstructionSets& instruction_sets() {
  static const InstructionSets available = ask();
  return available;
}

size_t second_level_cache_bytes() {
  constexpr size_t kUsual = size_t{1} << 20;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const long told = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return told > 0 ? static_cast<size_t>(told) : kUsual;
#else
  return kUsual;
#endif
}

}  // namespace sinew::cpu
