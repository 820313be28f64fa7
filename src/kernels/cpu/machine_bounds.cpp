#include "kernels/cpu/machine_bounds.h"

#include "base/instruction_sets.h"
#include "kernels/cpu/simd.h"
#include "tensor/buffer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sinew::cpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 4;  // the best counts: others may use the machine in between

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Keeps a result that nothing uses.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

// Runs body(thread) on that many threads of its own and waits for all.
void on_threads(int threads, const std::function<void(int)>& body) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back(body, i);
  }
  body(0);
  for (std::thread& other : others) {
    other.join();
  }
}

// Large enough that the caches of the whole package cannot hold it, where a quarter of the free
// memory allows that.
size_t buffer_bytes() {
  constexpr size_t kLeast = size_t{256} << 20;
  constexpr size_t kMost = size_t{1} << 30;
  const auto positive = [](long value) { return static_cast<size_t>(std::max(value, 0L)); };
  const size_t wanted = std::clamp(4 * positive(::sysconf(_SC_LEVEL3_CACHE_SIZE)), kLeast, kMost);
  const size_t free_bytes =
      positive(::sysconf(_SC_AVPHYS_PAGES)) * positive(::sysconf(_SC_PAGESIZE));
  return std::max(std::min(wanted, free_bytes / 4), kLeast / 4);
}

SINEW_CPU_CLONES uint64_t sum_words(const uint64_t* words, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += words[i];
  }
  return sum;
}

// A probe runs `iterations` rounds of kChains independent multiply-adds on whole vectors.
constexpr int64_t kChains = 16;
constexpr float kFactor = 0.999F;
constexpr float kTerm = 0.001F;  // values stay near 1, far from denormals

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void fma_f32_avx512(int64_t iterations) {
  __m512 chains[kChains];
  for (auto& chain : chains) {
    chain = _mm512_set1_ps(1.0F);
  }
  const __m512 factor = _mm512_set1_ps(kFactor);
  const __m512 term = _mm512_set1_ps(kTerm);
  for (int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (auto& chain : chains) {
      chain = _mm512_fmadd_ps(chain, factor, term);
    }
  }
  keep(chains);
}

__attribute__((target("avx2,fma"))) void fma_f32_avx2(int64_t iterations) {
  constexpr int64_t kRegisters = 8;  // of sixteen; each is used twice a round
  __m256 chains[kRegisters];
  for (auto& chain : chains) {
    chain = _mm256_set1_ps(1.0F);
  }
  const __m256 factor = _mm256_set1_ps(kFactor);
  const __m256 term = _mm256_set1_ps(kTerm);
  for (int64_t i = 0; i < iterations * (kChains / kRegisters); ++i) {
#pragma GCC unroll 8
    for (auto& chain : chains) {
      chain = _mm256_fmadd_ps(chain, factor, term);
    }
  }
  keep(chains);
}

__attribute__((target("avx512f,avx512bf16"))) void dot_bf16_avx512(int64_t iterations) {
  __m512 chains[kChains];
  for (auto& chain : chains) {
    chain = _mm512_set1_ps(1.0F);
  }
  const auto pairs = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0));
  for (int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (auto& chain : chains) {
      chain = _mm512_dpbf16_ps(chain, pairs, pairs);
    }
  }
  keep(chains);
}

// Four tiles of sums, as a product uses them; kTileLanes a chain make them up.
constexpr int64_t kTileLanes = int64_t{4} * 16 * 16 * 32 / kChains;

__attribute__((target("amx-tile,amx-bf16"))) void dot_bf16_amx(int64_t iterations) {
  alignas(64) std::array<uint8_t, 64> config{};
  config[0] = 1;  // palette
  for (size_t tile = 0; tile < 8; ++tile) {
    config[16 + 2 * tile] = 64;  // bytes of a row
    config[48 + tile] = 16;      // rows
  }
  keep(config);  // the compiler believes that the instruction reads eight bytes of it
  _tile_loadconfig(config.data());
  for (int64_t i = 0; i < iterations; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}
#endif

// For other CPUs: what the compiler makes of it; one "vector" is four values.
void multiply_add_f32(int64_t iterations) {
  std::array<float, 4 * kChains> chains{};
  chains.fill(1.0F);
  for (int64_t i = 0; i < iterations; ++i) {
    for (float& chain : chains) {
#if defined(__FMA__) || defined(__aarch64__)
      chain = std::fma(chain, kFactor, kTerm);
#else
      chain = chain * kFactor + kTerm;
#endif
    }
  }
  keep(chains);
}

struct Probe {
  ops::Precision precision;
  std::string_view instructions;
  int64_t lanes;  // multiply-adds of one chain an iteration
  bool (*is_supported)();
  void (*run)(int64_t iterations);
};

// The first supported row of a precision counts.
constexpr Probe kProbes[] = {
#if defined(__x86_64__)
    {ops::Precision::kFp32, "avx512f", 16, [] { return instruction_sets().avx512f; },
     fma_f32_avx512},
    {ops::Precision::kFp32, "avx2 fma", 8, [] { return instruction_sets().avx2_fma; },
     fma_f32_avx2},
    {ops::Precision::kBf16, "amx_bf16", kTileLanes, [] { return instruction_sets().amx_bf16; },
     dot_bf16_amx},
    {ops::Precision::kBf16, "avx512_bf16", 32, [] { return instruction_sets().avx512_bf16; },
     dot_bf16_avx512},
    {ops::Precision::kBf16, "avx512f", 16, [] { return instruction_sets().avx512f; },
     fma_f32_avx512},
    {ops::Precision::kBf16, "avx2 fma", 8, [] { return instruction_sets().avx2_fma; },
     fma_f32_avx2},
#endif
    {ops::Precision::kBf16, "compiler's choice", 4, [] { return true; }, multiply_add_f32},
    {ops::Precision::kFp32, "compiler's choice", 4, [] { return true; }, multiply_add_f32},
};

}  // namespace

Result<double> measure_read_bandwidth(int threads) {
  const size_t size_bytes = buffer_bytes();
  SINEW_ASSIGN(Buffer buffer, Buffer::allocate(size_bytes));
  const size_t words = size_bytes / sizeof(uint64_t) / static_cast<size_t>(threads);
  const auto part = [&](int thread) {
    return reinterpret_cast<uint64_t*>(buffer.data()) + static_cast<size_t>(thread) * words;
  };
  on_threads(threads,
             [&](int thread) { std::memset(part(thread), thread + 1, words * sizeof(uint64_t)); });
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    on_threads(threads, [&](int thread) {
      const uint64_t sum = sum_words(part(thread), words);
      keep(sum);
    });
    const auto bytes = static_cast<double>(words * sizeof(uint64_t) * static_cast<size_t>(threads));
    best = std::max(best, bytes / seconds_since(start));
  }
  return best;
}

std::optional<ArithmeticPeak> measure_arithmetic_peak(ops::Precision precision, int threads) {
  constexpr int64_t kIterations = 200'000;  // some milliseconds
  constexpr double kRoundSeconds = 0.08;
  for (const Probe& probe : kProbes) {
    if (probe.precision != precision || !probe.is_supported()) {
      continue;
    }
    double best = 0;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<int64_t> runs(static_cast<size_t>(threads));
      const auto start = Clock::now();
      on_threads(threads, [&](int thread) {
        do {
          probe.run(kIterations);
          ++runs[static_cast<size_t>(thread)];
        } while (seconds_since(start) < kRoundSeconds);
      });
      double flop = 0;
      for (const int64_t count : runs) {
        flop += static_cast<double>(count) * 2.0 * kIterations * kChains *
                static_cast<double>(probe.lanes);
      }
      best = std::max(best, flop / seconds_since(start));
    }
    return ArithmeticPeak{best, probe.instructions};
  }
  return std::nullopt;
}

}  // namespace sinew::cpu
