// Parameters as kernels want them: f32, rounded to bf16 first as the original does at load
// (docs/numerics.md); matrices of `linear` packed by oneDNN. Made once, shared by every plan of a
// session, freed with it.
#pragma once

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

class PackedMatrix;  // dnnl.h

class WeightCache {
 public:
  WeightCache();
  ~WeightCache();
  WeightCache(const WeightCache&) = delete;
  WeightCache& operator=(const WeightCache&) = delete;

  // The whole of `weight` as f32, row-major. Lives as long as the cache.
  Result<const float*> plain(const ConstTensorView& weight);

  // `weight` as the right-hand side of y = x W^T (or x W if weights_in_out), where x is
  // [rows, inputs]. The first caller's `rows` choose the layout; others share it unless the library
  // would fall back to reference code, when they get a packing of their own.
  Result<const PackedMatrix*> packed(const ConstTensorView& weight, bool weights_in_out,
                                     int64_t inputs, int64_t rows);

  // Bytes held.
  size_t bytes() const { return bytes_; }

 private:
  // A slice of a parameter may start where the whole does, so sizes are part of the keys.
  using PlainKey = std::pair<const void*, int64_t>;                   // data, elements
  using PackedKey = std::tuple<const void*, int64_t, int64_t, bool>;  // data, inputs, outputs, form

  std::map<PlainKey, Buffer> plain_;
  std::map<PackedKey, std::vector<std::unique_ptr<PackedMatrix>>> packed_;
  size_t bytes_ = 0;
};

}  // namespace sinew::cpu
