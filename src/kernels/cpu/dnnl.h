// y = x W (+ b) in f32 through oneDNN, with W packed once. dnnl.cpp is the only file that sees the
// library, which throws and has two incompatible majors.
#pragma once

#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sinew::cpu {

// A matrix [inputs, outputs] in a blocked layout that the library chose.
class PackedMatrix {
 public:
  // Packs `weight` (elements = inputs * outputs; stored [inputs, outputs] if weights_in_out, else
  // [outputs, inputs]; any dtype, any alignment; rounded to bf16 like every parameter) in the
  // layout that suits `rows` rows of x.
  static Result<std::unique_ptr<PackedMatrix>> make(const ConstTensorView& weight,
                                                    bool weights_in_out, int64_t inputs,
                                                    int64_t outputs, int64_t rows);
  ~PackedMatrix();
  PackedMatrix(const PackedMatrix&) = delete;
  PackedMatrix& operator=(const PackedMatrix&) = delete;

  int64_t inputs() const;
  int64_t outputs() const;
  size_t bytes() const;

  // Whether the library has an optimised implementation for `rows` rows and this layout.
  bool suits(int64_t rows) const;

 private:
  friend class Matmul;
  struct Impl;
  explicit PackedMatrix(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One product with fixed operands: y [rows, outputs] = x [rows, inputs] W + b. The matrix and the
// operands outlive it.
class Matmul {
 public:
  // `bias` [outputs] may be nullptr.
  static Result<std::unique_ptr<Matmul>> make(const PackedMatrix& matrix, int64_t rows,
                                              const float* x, const float* bias, float* y);
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  size_t workspace_bytes() const;

  // The library's name of the implementation; contains "ref" if it is the slow one.
  std::string_view implementation() const;

  // Reads x, writes y; `workspace` holds workspace_bytes().
  void run(std::byte* workspace);

 private:
  struct Impl;
  explicit Matmul(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sinew::cpu
