// Made-up weights: value i of a tensor depends on the seed, the tensor's name and i alone, and is
// computed in integers, so that one seed gives the same bytes on every machine.
#pragma once

#include "base/float16.h"
#include "model/gr00t_n1d6/weights.h"

#include <array>
#include <cstdint>
#include <span>

namespace sinew::synth {

// Values [first, first + size) of a tensor, row-major. Bell-shaped (the sum of four uniform bytes)
// with the scale of a trained network: matrices keep the variance of what goes through them, norms
// lie near 1, biases near 0.
class WeightValues {
 public:
  WeightValues(uint64_t seed, const model::gr00t_n1d6::TensorShape& tensor);

  void fill(int64_t first, std::span<Bf16> values) const;

 private:
  static constexpr size_t kLevels = 4 * 255 + 1;  // of a sum of four bytes

  uint64_t seed_;
  uint64_t stream_;                   // of the tensor's name
  std::array<Bf16, kLevels> levels_;  // by sum
};

}  // namespace sinew::synth
