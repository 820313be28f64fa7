// Ops without any sum: activations, broadcast arithmetic, the flow-matching step.
#include "base/check.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"

#include <algorithm>

namespace sinew::cpu {
namespace {

// ---- one source ----

class Unary final : public Kernel {
 public:
  Unary(UnaryLoop loop, int64_t work_per_element, const float* x, const RealOutput& y,
        int64_t elements)
      : loop_(loop), work_per_element_(work_per_element), x_(x), y_(y), elements_(elements) {}

  void run(const RunContext& context) override {
    parallel_pieces(context.pool, elements_, work_per_element_, [this](int64_t first, int64_t n) {
      y_.fill(first, n, [&](float* y) { loop_(x_ + first, y, n); });
    });
  }

 private:
  UnaryLoop loop_;
  int64_t work_per_element_;
  const float* x_;
  RealOutput y_;
  int64_t elements_;
};

MadeKernel make_unary(const BoundStep& step, WeightCache& weights, UnaryLoop loop, int64_t work) {
  SINEW_ASSIGN(const float* x, real_source(step, 0, weights));
  const int64_t elements = step.dsts[0].shape.elements();
  SINEW_CHECK(step.srcs[0].shape.elements() == elements);
  return std::unique_ptr<Kernel>(
      std::make_unique<Unary>(loop, work, x, real_output(step), elements));
}

// ---- a source and one or two that repeat over it ----

struct BroadcastOperands {
  const float* x = nullptr;
  const float* a = nullptr;
  const float* b = nullptr;
  RealOutput y;
  int64_t elements = 0;
  int64_t row = 0;  // elements of a and b
};

// y[i] = f(x[i], a[i mod row], b[i mod row])
class Broadcast final : public Kernel {
 public:
  Broadcast(TernaryLoop loop, const BroadcastOperands& operands) : loop_(loop), o_(operands) {}

  void run(const RunContext& context) override {
    parallel_pieces(context.pool, o_.elements, 1, [this](int64_t first, int64_t n) {
      o_.y.fill(first, n, [&](float* y) { run_piece(first, n, y); });
    });
  }

 private:
  // A piece may begin and end anywhere in the repeated row.
  void run_piece(int64_t first, int64_t n, float* y) const {
    for (int64_t done = 0; done < n;) {
      const int64_t column = (first + done) % o_.row;
      const int64_t count = std::min(o_.row - column, n - done);
      const float* b = o_.b == nullptr ? nullptr : o_.b + column;
      loop_(o_.x + first + done, o_.a + column, b, y + done, count);
      done += count;
    }
  }

  TernaryLoop loop_;
  BroadcastOperands o_;
};

MadeKernel make_broadcast(const BoundStep& step, WeightCache& weights, TernaryLoop loop,
                          size_t sources) {
  SINEW_CHECK(step.srcs.size() == sources);
  BroadcastOperands operands;
  SINEW_ASSIGN(operands.x, real_source(step, 0, weights));
  SINEW_ASSIGN(operands.a, real_source(step, 1, weights));
  if (sources == 3) {
    SINEW_ASSIGN(operands.b, real_source(step, 2, weights));
    SINEW_CHECK(step.srcs[2].shape.elements() == step.srcs[1].shape.elements());
  }
  operands.y = real_output(step);
  operands.elements = step.dsts[0].shape.elements();
  operands.row = step.srcs[1].shape.elements();
  SINEW_CHECK(operands.elements == 0 ||
              (operands.row > 0 && operands.elements % operands.row == 0));
  return std::unique_ptr<Kernel>(std::make_unique<Broadcast>(loop, operands));
}

// ---- x + dt v ----

class EulerStep final : public Kernel {
 public:
  EulerStep(const float* x, const float* velocity, float dt, float* y, int64_t elements)
      : x_(x), velocity_(velocity), dt_(dt), y_(y), elements_(elements) {}

  void run(const RunContext& /*context*/) override {
    euler_loop(x_, velocity_, dt_, y_, elements_);
  }

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
