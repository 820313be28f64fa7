// cuBLASLt, opened when it is first needed: the one place that knows the library. Products are
// planned when kernels are made; running one allocates nothing and asks nothing.
#pragma once

#include "kernels/cuda/stream.h"
#include "tensor/dtype.h"

#include "sinew/result.h"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace sinew::cuda {

// y = x w^T (+ bias) or x w (+ bias), with x [rows, inputs], w [outputs, inputs] or [inputs,
// outputs], bias [outputs], y [rows, outputs].
struct Product {
  int64_t rows = 0;
  int64_t outputs = 0;
  int64_t inputs = 0;
  bool weights_in_out = false;
  bool has_bias = false;
  DType operands = DType::kF32;  // of x and w: f32 (f32 products, no TF32) or bf16 (f32 sums)
  DType result = DType::kF32;    // of y and bias
  // Powers of two that divide the addresses.
  uint32_t x_alignment = 256;
  uint32_t w_alignment = 256;
  uint32_t y_alignment = 256;

  friend auto operator<=>(const Product&, const Product&) = default;
};

class BlasLt {
 public:
  // Errors: kDevice, when the library is not found or does not start; it says where was looked.
  static Result<std::unique_ptr<BlasLt>> open();

  ~BlasLt();
  BlasLt(const BlasLt&) = delete;
  BlasLt& operator=(const BlasLt&) = delete;

  struct Plan;

  // The algorithm for a product, chosen once; nullptr when the library has none for it. Lives as
  // long as this.
  Result<const Plan*> plan(const Product& product);

  // Device scratch of a planned product.
  static size_t workspace_bytes(const Plan& plan);

  // Enqueues. `workspace` is 256-byte aligned; bias is not read without has_bias.
  Status run(const Plan& plan, const void* x, const void* w, const void* bias, void* y,
             std::byte* workspace, Stream stream) const;

  // "13.1.0" and where the library was found.
  const std::string& version() const { return version_; }

 private:
  struct Library;
  explicit BlasLt(std::unique_ptr<Library> library);

  std::unique_ptr<Library> library_;
  std::map<Product, std::unique_ptr<Plan>> plans_;
  std::string version_;
};

}  // namespace sinew::cuda
