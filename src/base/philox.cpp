#include "base/philox.h"

#include "base/float16.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace sinew {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53U;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57U;
constexpr uint32_t kWeyl0 = 0x9E3779B9U;
constexpr uint32_t kWeyl1 = 0xBB67AE85U;
constexpr int kRounds = 10;

// A uniform in (0, 1]: never zero, so that its logarithm is finite.
double uniform(uint32_t word) {
  return (static_cast<double>(word) + 1.0) * 0x1p-32;
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(kMultiplier0) * counter[0];
    const uint64_t product1 = static_cast<uint64_t>(kMultiplier1) * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

void normal_noise(uint64_t seed, uint64_t draw, std::span<float> values) {
  const std::array<uint32_t, 2> key{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (size_t i = 0; i < values.size(); i += 4) {
    const uint64_t block = i / 4;
    const auto words = philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                   static_cast<uint32_t>(draw), static_cast<uint32_t>(draw >> 32)},
                                  key);
    for (size_t pair = 0; pair < 4; pair += 2) {
      const double radius = std::sqrt(-2.0 * std::log(uniform(words[pair])));
      const double angle = 2.0 * std::numbers::pi * uniform(words[pair + 1]);
      const double normals[2] = {radius * std::cos(angle), radius * std::sin(angle)};
      for (size_t k = 0; k < 2 && i + pair + k < values.size(); ++k) {
        values[i + pair + k] = to_float(to_bf16(static_cast<float>(normals[k])));
      }
    }
  }
}

}  // namespace sinew
