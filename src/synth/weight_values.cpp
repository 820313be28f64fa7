#include "synth/weight_values.h"

#include "base/philox.h"

#include <cmath>
#include <string_view>

namespace sinew::synth {
namespace {

struct Distribution {
  double mean = 0;
  double deviation = 0;
};

Distribution distribution_of(const model::gr00t_n1d6::TensorShape& tensor) {
  const std::string_view name = tensor.name;
  const Shape& shape = tensor.shape;
  if (shape.rank() == 1 && name.ends_with(".weight")) {
    return {1.0, 0.05};  // norms are the only vectors called weight
  }
  if (shape.rank() == 1 || name.ends_with(".b")) {
    return {0.0, 0.02};
  }
  // [embodiments, in, out] or [out, in]; tables of embeddings by their width
  const int64_t inputs = name.ends_with(".W") ? shape[1] : shape[shape.rank() - 1];
  return {0.0, 1.0 / std::sqrt(static_cast<double>(inputs))};
}

// FNV-1a, so that a tensor's values depend on its name and on nothing else of the checkpoint.
uint64_t name_hash(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return hash;
}

uint32_t byte_sum(uint32_t word) {
  const uint32_t pairs = (word & 0x00ff00ffU) + ((word >> 8) & 0x00ff00ffU);
  return (pairs & 0xffffU) + (pairs >> 16);
}

}  // namespace

WeightValues::WeightValues(uint64_t seed, const model::gr00t_n1d6::TensorShape& tensor)
    : seed_(seed), stream_(name_hash(tensor.name)) {
  const Distribution d = distribution_of(tensor);
  const double sum_deviation = std::sqrt(4 * (256.0 * 256.0 - 1) / 12);
  for (size_t sum = 0; sum < kLevels; ++sum) {
    const double normal = (static_cast<double>(sum) - 510.0) / sum_deviation;
    levels_[sum] = to_bf16(static_cast<float>(d.mean + d.deviation * normal));
  }
}

void WeightValues::fill(int64_t first, std::span<Bf16> values) const {
  const std::array<uint32_t, 2> key{static_cast<uint32_t>(seed_),
                                    static_cast<uint32_t>(seed_ >> 32)};
  std::array<uint32_t, 4> words{};
  uint64_t drawn = ~uint64_t{0};  // the block that `words` holds
  for (size_t i = 0; i < values.size(); ++i) {
    const uint64_t at = static_cast<uint64_t>(first) + i;
    const uint64_t block = at / 4;
    if (block != drawn) {
      words = philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                          static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                         key);
      drawn = block;
    }
    values[i] = levels_[byte_sum(words[at % 4])];
  }
}

}  // namespace sinew::synth
