// Rotary position embedding of queries or keys, all heads of a token alike (spec/model.md section
// 5.3).
#include "base/check.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

namespace sinew::cpu {
namespace {

// One head: the pairs (x[i], x[half + i]) turn by the angle whose cosine is cos[i].
SINEW_CPU_CLONES void rotate(const float* __restrict x, const float* __restrict cos,
                             const float* __restrict sin, int64_t half, float* __restrict y) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    y[i] = x[i] * cos[i] - x[half + i] * sin[i];
    y[half + i] = x[half + i] * cos[i] + x[i] * sin[i];
  }
}

class Rope final : public Kernel {
 public:
  Rope(const float* x, const float* cos, const float* sin, const RealOutput& y, int64_t tokens,
       int64_t heads, int64_t head_dim)
      : x_(x), cos_(cos), sin_(sin), y_(y), tokens_(tokens), heads_(heads), head_dim_(head_dim) {}

  void run(const RunContext& context) override {
    const int64_t half = head_dim_ / 2;
    parallel_for(context.pool, tokens_, tokens_ * heads_ * head_dim_, [&](int64_t token) {
      for (int64_t head = 0; head < heads_; ++head) {
        const int64_t first = (token * heads_ + head) * head_dim_;
        y_.fill(first, head_dim_, [&](float* y) {
          rotate(x_ + first, cos_ + token * half, sin_ + token * half, half, y);
        });
      }
    });
  }

 private:
  const float* x_;    // [tokens, heads * head_dim]
  const float* cos_;  // [tokens, head_dim / 2]
  const float* sin_;
  RealOutput y_;
  int64_t tokens_;
  int64_t heads_;
  int64_t head_dim_;
};

}  // namespace

MadeKernel make_rope(const BoundStep& step, WeightCache& weights) {
  const int64_t heads = std::get<ops::RopeAttributes>(step.attributes).heads;
  const int64_t tokens = row_count(step.srcs[1].shape);
  const int64_t head_dim = 2 * row_length(step.srcs[1].shape);
  SINEW_CHECK(heads * tokens * head_dim == step.srcs[0].shape.elements());
  SINEW_CHECK(head_dim <= kPieceElements);
  SINEW_ASSIGN(const float* x, real_source(step, 0, weights));
  SINEW_ASSIGN(const float* cos, real_source(step, 1, weights));
  SINEW_ASSIGN(const float* sin, real_source(step, 2, weights));
  return std::unique_ptr<Kernel>(
      std::make_unique<Rope>(x, cos, sin, real_output(step), tokens, heads, head_dim));
}

}  // namespace sinew::cpu
