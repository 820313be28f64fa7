// Parameters as kernels want them, rounded to bf16 first as the original does at load
// (docs/numerics.md): vectors as f32, matrices of `linear` packed in panels. Made once, shared by
// every plan of a session, freed with it.
#pragma once

#include "kernels/cpu/packed_matrix.h"
#include "tensor/buffer.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

namespace sinew::cpu {

class WeightCache {
 public:
  // `pool` packs, and outlives the cache.
  explicit WeightCache(ThreadPool& pool) : pool_(pool) {}

  WeightCache(const WeightCache&) = delete;
  WeightCache& operator=(const WeightCache&) = delete;

  // The whole of `weight` as f32, row-major. Lives as long as the cache.
  Result<const float*> plain(const ConstTensorView& weight);

  // `weight` as the right-hand side of y = x W^T (or x W if weights_in_out) with x [rows, inputs],
  // for products in `dtype` (f32 or bf16).
  Result<PackedMatrix> packed(const ConstTensorView& weight, bool weights_in_out, int64_t inputs,
                              DType dtype);

  // Bytes held.
  size_t bytes() const { return bytes_; }

 private:
  Result<std::byte*> allocate(size_t size_bytes);

  // A slice of a parameter may start where the whole does, so sizes are part of the keys.
  using PlainKey = std::pair<const void*, int64_t>;  // data, elements
  using PackedKey =
      std::tuple<const void*, int64_t, int64_t, bool, DType>;  // data, inputs, outputs, form, type

  ThreadPool& pool_;
  std::map<PlainKey, const float*> plain_;
  std::map<PackedKey, PackedMatrix> packed_;
  std::vector<Buffer> chunks_;  // parameters lie in few large regions, which huge pages can back
  size_t chunk_used_ = 0;       // bytes of the last chunk
  size_t bytes_ = 0;
};

}  // namespace sinew::cpu
