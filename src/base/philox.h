// The noise generator: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011), counter based, so that value i of a seed is the same on every device and in any order.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace sinew {

// Four words for a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Fills `values` with standard normals (Box-Muller on Philox words), each rounded to bf16 as the
// original draws them (spec/model.md section 9). `draw` separates calls of one seed: call n of a
// session uses draw n. Equal (seed, draw) give equal bits on every machine with an IEEE libm.
void normal_noise(uint64_t seed, uint64_t draw, std::span<float> values);

}  // namespace sinew
