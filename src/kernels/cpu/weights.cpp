#include "kernels/cpu/weights.h"

#include "base/check.h"
#include "kernels/cpu/dnnl.h"
#include "tensor/convert.h"

#include <span>

namespace sinew::cpu {

WeightCache::WeightCache() = default;

WeightCache::~WeightCache() = default;

Result<const float*> WeightCache::plain(const ConstTensorView& weight) {
  const PlainKey key{weight.data, weight.shape.elements()};
  auto found = plain_.find(key);
  if (found == plain_.end()) {
    const auto elements = static_cast<size_t>(weight.shape.elements());
    SINEW_ASSIGN(Buffer buffer, Buffer::allocate(elements * sizeof(float)));
    convert_to_f32(weight, std::span(reinterpret_cast<float*>(buffer.data()), elements),
                   ParameterRounding::kBf16);
    bytes_ += buffer.size_bytes();
    found = plain_.emplace(key, std::move(buffer)).first;
  }
  return reinterpret_cast<const float*>(found->second.data());
}

Result<const PackedMatrix*> WeightCache::packed(const ConstTensorView& weight, bool weights_in_out,
                                                int64_t inputs, int64_t rows) {
  SINEW_CHECK(inputs > 0 && weight.shape.elements() % inputs == 0);
  const int64_t outputs = weight.shape.elements() / inputs;
  auto& packings = packed_[PackedKey{weight.data, inputs, outputs, weights_in_out}];
  for (const auto& packing : packings) {
    if (packing->suits(rows)) {
      return packing.get();
    }
  }
  SINEW_ASSIGN(auto packing, PackedMatrix::make(weight, weights_in_out, inputs, outputs, rows));
  if (!packings.empty() && !packing->suits(rows)) {
    return packings.front().get();  // reference code in any layout: another copy gains nothing
  }
  bytes_ += packing->bytes();
  packings.push_back(std::move(packing));
  return packings.back().get();
}

}  // namespace sinew::cpu
