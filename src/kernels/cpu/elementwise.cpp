// Ops without any sum: activations, broadcast arithmetic, the flow-matching step.
#include "base/check.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

#include <cmath>
#include <numbers>

namespace sinew::cpu {
namespace {

// ---- one source ----

using UnaryLoop = void (*)(const float* x, float* y, int64_t n);

// 0.5 x (1 + tanh u) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3); the right-hand side
// needs one exponential and keeps its relative accuracy where tanh u is near -1.
SINEW_CPU_CLONES void gelu_tanh_loop(const float* __restrict x, float* __restrict y, int64_t n) {
  constexpr float kMinusTwoRoot2OverPi = -1.5957691216057308F;
  constexpr float kCubic = 0.044715F;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float u = kMinusTwoRoot2OverPi * (x[i] + kCubic * (x[i] * x[i] * x[i]));
    y[i] = x[i] / (1.0F + exp_f32(u));
  }
}

SINEW_CPU_CLONES void silu_loop(const float* __restrict x, float* __restrict y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] / (1.0F + exp_f32(-x[i]));
  }
}

SINEW_CPU_CLONES void relu_loop(const float* __restrict x, float* __restrict y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] < 0.0F ? 0.0F : x[i];  // keeps a NaN
  }
}

void gelu_erf_loop(const float* x, float* y, int64_t n) {
  constexpr float kInverseRoot2 = 1.0F / std::numbers::sqrt2_v<float>;
  for (int64_t i = 0; i < n; ++i) {
    y[i] = 0.5F * x[i] * (1.0F + std::erf(x[i] * kInverseRoot2));
  }
}

class Unary final : public Kernel {
 public:
  Unary(UnaryLoop loop, int64_t work_per_element, const float* x, float* y, int64_t elements)
      : loop_(loop), work_per_element_(work_per_element), x_(x), y_(y), elements_(elements) {}

  void run(std::byte* /*workspace*/) override {
    parallel_pieces(elements_, work_per_element_,
                    [this](int64_t first, int64_t count) { loop_(x_ + first, y_ + first, count); });
  }

 private:
  UnaryLoop loop_;
  int64_t work_per_element_;
  const float* x_;
  float* y_;
  int64_t elements_;
};

MadeKernel make_unary(const BoundStep& step, WeightCache& weights, UnaryLoop loop, int64_t work) {
  SINEW_ASSIGN(const float* x, real_source(step, 0, weights));
  const int64_t elements = step.dsts[0].shape.elements();
  SINEW_CHECK(step.srcs[0].shape.elements() == elements);
  return std::unique_ptr<Kernel>(
      std::make_unique<Unary>(loop, work, x, real_result(step), elements));
}

// ---- a source and one or two that repeat over it ----

struct RowLoopArguments {
  const float* x = nullptr;
  const float* a = nullptr;
  const float* b = nullptr;
  float* y = nullptr;
};

using RowLoop = void (*)(const float* x, const float* a, const float* b, float* y, int64_t n);

SINEW_CPU_CLONES void add_loop(const float* __restrict x, const float* __restrict a,
                               const float* /*b*/, float* __restrict y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] + a[i];
  }
}

SINEW_CPU_CLONES void mul_loop(const float* __restrict x, const float* __restrict a,
                               const float* /*b*/, float* __restrict y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] * a[i];
  }
}

SINEW_CPU_CLONES void modulate_loop(const float* __restrict x, const float* __restrict scale,
                                    const float* __restrict shift, float* __restrict y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] * (1.0F + scale[i]) + shift[i];
  }
}

// y[i] = f(x[i], a[i mod n], b[i mod n])
class Broadcast final : public Kernel {
 public:
  Broadcast(RowLoop loop, const RowLoopArguments& arguments, int64_t repeats, int64_t row)
      : loop_(loop), arguments_(arguments), repeats_(repeats), row_(row) {}

  void run(std::byte* /*workspace*/) override {
    const RowLoopArguments& r = arguments_;
    if (repeats_ == 1) {
      parallel_pieces(row_, 1, [&](int64_t first, int64_t count) {
        loop_(r.x + first, r.a + first, r.b == nullptr ? nullptr : r.b + first, r.y + first, count);
      });
    } else {
      parallel_for(repeats_, repeats_ * row_,
                   [&](int64_t i) { loop_(r.x + i * row_, r.a, r.b, r.y + i * row_, row_); });
    }
  }

 private:
  RowLoop loop_;
  RowLoopArguments arguments_;
  int64_t repeats_;
  int64_t row_;
};

MadeKernel make_broadcast(const BoundStep& step, WeightCache& weights, RowLoop loop,
                          size_t sources) {
  SINEW_CHECK(step.srcs.size() == sources);
  RowLoopArguments arguments;
  SINEW_ASSIGN(arguments.x, real_source(step, 0, weights));
  SINEW_ASSIGN(arguments.a, real_source(step, 1, weights));
  if (sources == 3) {
    SINEW_ASSIGN(arguments.b, real_source(step, 2, weights));
    SINEW_CHECK(step.srcs[2].shape.elements() == step.srcs[1].shape.elements());
  }
  arguments.y = real_result(step);
  const int64_t elements = step.dsts[0].shape.elements();
  const int64_t row = step.srcs[1].shape.elements();
  SINEW_CHECK(elements == 0 || (row > 0 && elements % row == 0));
  return std::unique_ptr<Kernel>(
      std::make_unique<Broadcast>(loop, arguments, elements == 0 ? 0 : elements / row, row));
}

// ---- x + dt v ----

// The product is rounded before the sum, as in the reference loop (spec/model.md section 9).
SINEW_CPU_CLONES void euler_loop(const float* __restrict x, const float* __restrict velocity,
                                 float dt, float* __restrict y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float change = dt * velocity[i];
    y[i] = x[i] + change;
  }
}

class EulerStep final : public Kernel {
 public:
  EulerStep(const float* x, const float* velocity, float dt, float* y, int64_t elements)
      : x_(x), velocity_(velocity), dt_(dt), y_(y), elements_(elements) {}

  void run(std::byte* /*workspace*/) override { euler_loop(x_, velocity_, dt_, y_, elements_); }

 private:
  const float* x_;
  const float* velocity_;
  float dt_;
  float* y_;
  int64_t elements_;
};

}  // namespace

MadeKernel make_gelu_tanh(const BoundStep& step, WeightCache& weights) {
  return make_unary(step, weights, gelu_tanh_loop, kTranscendentalWork);
}

MadeKernel make_gelu_erf(const BoundStep& step, WeightCache& weights) {
  return make_unary(step, weights, gelu_erf_loop, kTranscendentalWork);
}

MadeKernel make_silu(const BoundStep& step, WeightCache& weights) {
  return make_unary(step, weights, silu_loop, kTranscendentalWork);
}

MadeKernel make_relu(const BoundStep& step, WeightCache& weights) {
  return make_unary(step, weights, relu_loop, 1);
}

MadeKernel make_add(const BoundStep& step, WeightCache& weights) {
  return make_broadcast(step, weights, add_loop, 2);
}

MadeKernel make_mul(const BoundStep& step, WeightCache& weights) {
  return make_broadcast(step, weights, mul_loop, 2);
}

MadeKernel make_modulate(const BoundStep& step, WeightCache& weights) {
  return make_broadcast(step, weights, modulate_loop, 3);
}

MadeKernel make_euler_step(const BoundStep& step, WeightCache& weights) {
  SINEW_ASSIGN(const float* x, real_source(step, 0, weights));
  SINEW_ASSIGN(const float* velocity, real_source(step, 1, weights));
  const int64_t elements = step.dsts[0].shape.elements();
  SINEW_CHECK(step.srcs[0].shape.elements() == elements &&
              step.srcs[1].shape.elements() == elements);
  const float dt = std::get<ops::EulerAttributes>(step.attributes).dt;
  return std::unique_ptr<Kernel>(
      std::make_unique<EulerStep>(x, velocity, dt, real_result(step), elements));
}

}  // namespace sinew::cpu
