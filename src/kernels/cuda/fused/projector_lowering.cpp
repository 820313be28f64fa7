// Binds the composite vision_projector: the norm reads shuffled patches, then two products.
#include "base/check.h"
#include "kernels/cuda/fused/gemm.h"
#include "kernels/cuda/fused/lowering_parts.h"
#include "kernels/cuda/fused/norm.h"
#include "kernels/cuda/fused/workspace.h"
#include "kernels/cuda/leaf/make.h"

#include <array>

namespace sinew::cuda {
namespace {

using ops::OpKind;

// Operands: x, norm, up and out, a weight and a bias each.
constexpr size_t kUpBias = 4;

struct ProjectorShape {
  int64_t rows;    // of tokens
  int64_t width;   // 4 d
  int64_t hidden;  // l
};

// One fused product, and the tile for it.
struct Product {
  GemmArgs args;
  GemmTile tile;
};

Result<Product> product_of(const BoundStep& linear, GemmEpilogue epilogue,
                           const MakeContext& context) {
  Product p;
  p.args.epilogue = epilogue;
  p.args.m = row_count(linear.srcs[0].shape);
  p.args.k = row_length(linear.srcs[0].shape);
  p.args.n = row_length(linear.dsts[0].shape);
  SINEW_ASSIGN(p.args.w, matrix_of(linear, context));
  SINEW_ASSIGN(p.args.bias, vector_of(linear, 2, context));
  p.tile = choose_gemm_tile(epilogue, p.args.m, p.args.n, p.args.k, context.device);
  SINEW_TRY(prepare_gemm(epilogue, p.tile, context.device));
  return p;
}

}  // namespace

Refusal refuse_vision_projector(const ops::Plan& plan, const ops::CompositeCall& call) {
  if (const Refusal refusal = refuse_device(plan)) {
    return refusal;
  }
  if (const Refusal refusal = refuse_unless_weights(plan, std::span(call.operands).subspan(1))) {
    return refusal;
  }
  const std::array rows{call.operands[0], call.results[0]};
  if (const Refusal refusal = refuse_unless_f32(plan, rows)) {
    return refusal;
  }
  const Shape& x = plan.info(call.operands[0]).shape;
  const ProjectorShape s{.rows = row_count(x) / 4,
                         .width = row_length(x) * 4,
                         .hidden = plan.info(call.operands[kUpBias]).shape.elements()};
  if (!is_measured_gemm(GemmEpilogue::kGeluErf, s.rows, s.hidden, s.width, plan.device) ||
      !is_measured_gemm(GemmEpilogue::kResidual, s.rows, s.hidden, s.hidden, plan.device)) {
    return "no tiles were measured for its products";
  }
  const Status fits = check_norm({.rows = s.rows, .width = s.width});
  return fits.ok() ? Refusal() : Refusal(fits.message());
}

MadeKernel make_vision_projector(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto linears = steps_of(steps, OpKind::kLinear);  // up, out
  const BoundStep& shuffle = steps[0];
  const BoundStep& norm = steps[1];
  SINEW_CHECK(linears.size() == 2 && shuffle.op == OpKind::kPixelShuffle &&
              norm.op == OpKind::kLayerNorm);
  SINEW_ASSIGN(Product up, product_of(*linears[0], GemmEpilogue::kGeluErf, context));
  SINEW_ASSIGN(Product out, product_of(*linears[1], GemmEpilogue::kResidual, context));
  const auto& grid = std::get<ops::GridAttributes>(shuffle.attributes);
  NormArgs normed{.rows = up.args.m,
                  .width = up.args.k,
                  .x = static_cast<const float*>(shuffle.srcs[0].data),
                  .epsilon = std::get<ops::NormAttributes>(norm.attributes).epsilon,
                  .grid_rows = grid.rows,
                  .grid_columns = grid.columns,
                  .is_dependent = context.device.compute_capability >= 90};
  SINEW_ASSIGN(normed.weight, vector_of(norm, 1, context));
  SINEW_ASSIGN(normed.bias, vector_of(norm, 2, context));
  SINEW_TRY(prepare_norm(normed));
  out.args.out = steps.back().dsts[0].data;
  WorkspaceCutter sizes(nullptr);
  const int64_t normed_bytes = 2 * up.args.m * up.args.k;
  const int64_t hidden_bytes = 2 * up.args.m * up.args.n;
  sizes.take(normed_bytes);
  sizes.take(hidden_bytes);
  return made_kernel(
      [normed, up, out, normed_bytes, hidden_bytes, device = context.device](
          Stream stream, std::byte* workspace) mutable -> Status {
        WorkspaceCutter cutter(workspace);
        normed.out = cutter.take(normed_bytes);
        up.args.a = normed.out;
        up.args.out = cutter.take(hidden_bytes);
        out.args.a = up.args.out;
        SINEW_TRY(enqueue_norm(normed, stream));
        SINEW_TRY(enqueue_gemm(up.args, up.tile, device, stream));
        return enqueue_gemm(out.args, out.tile, device, stream);
      },
      sizes.used_bytes());
}

}  // namespace sinew::cuda
