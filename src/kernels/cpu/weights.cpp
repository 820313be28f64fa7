#include "kernels/cpu/weights.h"

#include "base/check.h"
#include "tensor/convert.h"

#include <algorithm>
#include <span>

namespace sinew::cpu {
namespace {

// Chunks grow with what is held. What of one stays unused is never written and so takes no memory.
constexpr size_t kFirstChunkBytes = size_t{1} << 20;
constexpr size_t kLargestChunkBytes = size_t{256} << 20;

}  // namespace

// Kernels may fetch a little beyond the end of a matrix; the chunk's own end is no exception, since
// fetching ahead never faults.
Result<std::byte*> WeightCache::allocate(size_t size_bytes) {
  const size_t padded =
      (size_bytes + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;
  if (chunks_.empty() || chunks_.back().size_bytes() - chunk_used_ < padded) {
    const size_t wanted = std::clamp(bytes_, kFirstChunkBytes, kLargestChunkBytes);
    SINEW_ASSIGN(Buffer chunk, Buffer::allocate_for_overwrite(std::max(wanted, padded)));
    chunks_.push_back(std::move(chunk));
    chunk_used_ = 0;
  }
  std::byte* memory = chunks_.back().data() + chunk_used_;
  chunk_used_ += padded;
  bytes_ += padded;
  return memory;
}

Result<const float*> WeightCache::plain(const ConstTensorView& weight) {
  const PlainKey key{weight.data, weight.shape.elements()};
  const auto found = plain_.find(key);
  if (found != plain_.end()) {
    return found->second;
  }
  const auto elements = static_cast<size_t>(weight.shape.elements());
  SINEW_ASSIGN(std::byte* const memory, allocate(elements * sizeof(float)));
  auto* const values = reinterpret_cast<float*>(memory);
  convert_to_f32(weight, std::span(values, elements), ParameterRounding::kBf16);
  plain_.emplace(key, values);
  return values;
}

Result<PackedMatrix> WeightCache::packed(const ConstTensorView& weight, bool weights_in_out,
                                         int64_t inputs, DType dtype) {
  SINEW_CHECK(inputs > 0 && weight.shape.elements() % inputs == 0);
  const int64_t outputs = weight.shape.elements() / inputs;
  const PackedKey key{weight.data, inputs, outputs, weights_in_out, dtype};
  const auto found = packed_.find(key);
  if (found != packed_.end()) {
    return found->second;
  }
  PackedMatrix matrix{.dtype = dtype, .inputs = inputs, .outputs = outputs};
  SINEW_ASSIGN(std::byte* const memory, allocate(matrix.bytes()));
  pack_matrix(weight, weights_in_out, matrix, memory, pool_);
  matrix.panels = memory;
  packed_.emplace(key, matrix);
  return matrix;
}

}  // namespace sinew::cpu
