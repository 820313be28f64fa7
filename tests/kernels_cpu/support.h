// One step of the CPU backend as data: operands, the result that naive loops in double precision
// give, and the error that the arithmetic may make. Every generic test runs over all_cases().
#pragma once

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/weights.h"
#include "tensor/buffer.h"

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace sinew::cpu::test {

// 2^-24: the relative error of one f32 rounding.
inline constexpr double kRoundoff = 0x1p-24;

// 2^-8: that of one bf16 rounding.
inline constexpr double kBf16Roundoff = 0x1p-8;

struct Source {
  Shape shape;
  std::vector<float> values;  // empty and not an index: absent optional operand
  std::vector<int32_t> indices;
  bool is_weight = false;
  DType dtype = DType::kF32;  // how it is stored

  // What the kernel must compute with: values rounded to their stored type, weights to bf16 too.
  std::vector<double> effective() const;
};

struct Case {
  std::string name;
  ops::OpKind op = ops::OpKind::kAdd;
  ops::Attributes attributes;
  std::vector<Source> srcs;
  std::vector<Shape> dst_shapes;
  DType dst_dtype = DType::kF32;
  DType product_dtype = DType::kF32;          // of matrix products
  std::vector<std::vector<double>> expected;  // per result
  std::vector<std::vector<double>> bound;     // largest allowed |difference|, per element
};

// Reproducible operands. The seed is part of the case's construction, never of the clock.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  Source activations(const Shape& shape, float scale = 1.0F, DType dtype = DType::kF32);
  Source weights(const Shape& shape, DType dtype, float scale = 1.0F);
  Source indices(int64_t count, int64_t limit);

 private:
  std::vector<float> normals(int64_t count, float scale);

  std::mt19937 engine_;
};

// The case as a step of a plan, which is what rows are asked about.
struct PlannedStep {
  ops::Plan plan;
  ops::Step step;
};

PlannedStep planned_step(const Case& c);

// The first row of the table that accepts the case's types, as a session would choose; nullptr:
// none.
const CpuRow* find_row(const Case& c);

// A case bound to memory as a session would bind it: activations 64-byte aligned, weights at odd
// addresses, guard bytes around every result and around the workspace.
class Bound {
 public:
  explicit Bound(const Case& c, int threads = 2);

  // Makes the kernel, with the parameters in a cache of its own; the test fails if that fails.
  void make();
  void run();

  Kernel& kernel() { return *kernel_; }

  // bf16 results are widened.
  std::vector<float> result(size_t index = 0) const;
  bool guards_intact() const;

 private:
  struct Guarded {
    Buffer buffer;
    size_t bytes = 0;

    explicit Guarded(size_t size);
    std::byte* data();
    bool intact() const;
  };

  const CpuRow* row_;
  ThreadPool pool_;
  WeightCache weights_{pool_};
  BoundStep step_;
  std::vector<Guarded> sources_;
  std::vector<Guarded> results_;
  std::unique_ptr<Guarded> workspace_;
  std::unique_ptr<Kernel> kernel_;
};

// Whether all elements agree to the bit, NaNs and signed zeros included.
bool same_bits(std::span<const float> a, std::span<const float> b);

// Makes and runs the case once; returns its results.
std::vector<std::vector<float>> run_case(const Case& c, int threads = 2);

// Cases of each file, and all of them.
std::vector<Case> linear_cases();
std::vector<Case> norm_cases();
std::vector<Case> elementwise_cases();
std::vector<Case> attention_cases();
std::vector<Case> row_cases();
std::vector<Case> vision_cases();
std::vector<Case> table_cases();
const std::vector<Case>& all_cases();

}  // namespace sinew::cpu::test
