// Makers of the ops that sum at most over a row: activations, broadcasts, norms, rotary embedding,
// the flow-matching step.
#include "base/check.h"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/leaf/make.h"

namespace sinew::cuda {
namespace {

MadeKernel make_norm(const BoundStep& step, const MakeContext& context, bool is_centred) {
  const NormShape shape{.rows = row_count(step.dsts[0].shape),
                        .width = row_length(step.dsts[0].shape),
                        .epsilon = std::get<ops::NormAttributes>(step.attributes).epsilon,
                        .is_centred = is_centred};
  SINEW_CHECK(step.srcs[0].shape.elements() == step.dsts[0].shape.elements());
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  SINEW_ASSIGN(const RealSource w, real_source(step, 1, context));
  RealSource b;
  if (is_centred) {
    SINEW_ASSIGN(b, real_source(step, 2, context));
  }
  return made_kernel([x, w, b, y = real_result(step), shape](Stream stream, std::byte*) {
    return launch_norm(x, w, b, y, shape, stream);
  });
}

}  // namespace

MadeKernel make_layer_norm(const BoundStep& step, const MakeContext& context) {
  return make_norm(step, context, /*is_centred=*/true);
}

MadeKernel make_rms_norm(const BoundStep& step, const MakeContext& context) {
  return make_norm(step, context, /*is_centred=*/false);
}

MadeKernel make_unary(const BoundStep& step, const MakeContext& context) {
  const int64_t n = step.dsts[0].shape.elements();
  SINEW_CHECK(step.srcs[0].shape.elements() == n);
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  return made_kernel([op = step.op, x, y = real_result(step), n](Stream stream, std::byte*) {
    return launch_unary(op, x, y, n, stream);
  });
}

MadeKernel make_broadcast(const BoundStep& step, const MakeContext& context) {
  const int64_t n = step.dsts[0].shape.elements();
  const int64_t row = step.srcs[1].shape.elements();
  SINEW_CHECK(step.srcs[0].shape.elements() == n && (n == 0 || (row > 0 && n % row == 0)));
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  SINEW_ASSIGN(const RealSource a, real_source(step, 1, context));
  RealSource b;
  if (step.op == ops::OpKind::kModulate) {
    SINEW_CHECK(step.srcs[2].shape.elements() == row);
    SINEW_ASSIGN(b, real_source(step, 2, context));
  }
  return made_kernel(
      [op = step.op, x, a, b, y = real_result(step), n, row](Stream stream, std::byte*) {
        return launch_broadcast(op, x, a, b, y, n, row, stream);
      });
}

MadeKernel make_euler_step(const BoundStep& step, const MakeContext& context) {
  const int64_t n = step.dsts[0].shape.elements();
  SINEW_CHECK(step.srcs[0].shape.elements() == n && step.srcs[1].shape.elements() == n);
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  SINEW_ASSIGN(const RealSource velocity, real_source(step, 1, context));
  const float dt = std::get<ops::EulerAttributes>(step.attributes).dt;
  return made_kernel([x, velocity, dt, y = real_result(step), n](Stream stream, std::byte*) {
    return launch_euler_step(x, velocity, dt, y, n, stream);
  });
}

MadeKernel make_rope(const BoundStep& step, const MakeContext& context) {
  const int64_t heads = std::get<ops::RopeAttributes>(step.attributes).heads;
  const int64_t tokens = row_count(step.srcs[1].shape);
  const int64_t head_dim = 2 * row_length(step.srcs[1].shape);
  SINEW_CHECK(heads * tokens * head_dim == step.srcs[0].shape.elements());
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  SINEW_ASSIGN(const RealSource cos, real_source(step, 1, context));
  SINEW_ASSIGN(const RealSource sin, real_source(step, 2, context));
  return made_kernel(
      [x, cos, sin, y = real_result(step), tokens, heads, head_dim](Stream stream, std::byte*) {
        return launch_rope(x, cos, sin, y, tokens, heads, head_dim, stream);
      });
}

}  // namespace sinew::cuda
