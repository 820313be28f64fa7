// Binds the small layers around the diffusion transformer to chains of skinny products:
// action_tokens (three), action_update (three) and embodiment_mlp (two).
#include "base/check.h"
#include "base/error.h"
#include "kernels/cuda/fused/lowering_parts.h"
#include "kernels/cuda/fused/skinny.h"
#include "kernels/cuda/fused/workspace.h"
#include "kernels/cuda/leaf/make.h"

#include <array>
#include <vector>

namespace sinew::cuda {
namespace {

using ops::OpKind;

// One product of a chain, as a plan has it.
struct ProductExtents {
  int64_t rows, n, k;
  bool x_is_f32;
};

Refusal refuse_product(const ops::Plan& plan, const ProductExtents& p) {
  std::string refusal = refuse_skinny(p.rows, p.n, p.k, p.x_is_f32, plan.device);
  return refusal.empty() ? Refusal() : Refusal(std::move(refusal));
}

ProductExtents extents_of(const ops::Plan& plan, const ops::Step& linear, int64_t rows,
                          bool x_is_f32) {
  const int64_t k = row_length(plan.info(linear.srcs[0]).shape);
  return {
      .rows = rows, .n = row_length(plan.info(linear.dsts[0]).shape), .k = k, .x_is_f32 = x_is_f32};
}

// Every product of a composite: parameters, and sizes for `rows` rows; the first reads x in f32.
Refusal refuse_products(const ops::Plan& plan, const ops::CompositeCall& call, int64_t rows) {
  if (const Refusal refusal = refuse_device(plan)) {
    return refusal;
  }
  bool is_first = true;
  for (const ops::Step* const linear : steps_of(steps_of(plan, call), OpKind::kLinear)) {
    if (!is_weight(plan, linear->srcs[1]) ||
        (linear->srcs[2].valid() && !is_weight(plan, linear->srcs[2]))) {
      return "a matrix or bias of it is no parameter";
    }
    if (const Refusal refusal = refuse_product(plan, extents_of(plan, *linear, rows, is_first))) {
      return refusal;
    }
    is_first = false;
  }
  return std::nullopt;
}

// Numbers: outputs, depth, and whether the matrix is stored [in, out].
Status pack_weights(const PackJob& job) {
  return pack_skinny(job.srcs[0].data, job.numbers[0], job.numbers[1], job.numbers[2] != 0, job.dst,
                     job.stream);
}

// What a product's step says by itself; x, result and the rest are the caller's.
Result<SkinnyArgs> product_of(const BoundStep& linear, int rows, const MakeContext& context) {
  SkinnyArgs args;
  args.rows = rows;
  args.k = static_cast<int>(row_length(linear.srcs[0].shape));
  args.n = static_cast<int>(row_length(linear.dsts[0].shape));
  args.is_dependent = context.device.compute_capability >= 90;
  const bool is_in_out = std::get<ops::LinearAttributes>(linear.attributes).weights_in_out;
  const size_t bytes = size_t{2} * static_cast<size_t>(args.k) * static_cast<size_t>(args.n);
  SINEW_ASSIGN(args.w, context.weights.packed(std::span(&linear.srcs[1], 1),
                                              {.name = "skinny",
                                               .bytes = bytes,
                                               .numbers = {args.n, args.k, is_in_out ? 1 : 0},
                                               .pack = &pack_weights}));
  if (linear.srcs[2].data != nullptr) {
    SINEW_ASSIGN(args.bias, vector_of(linear, 2, context));
  }
  return args;
}

Result<std::vector<SkinnyArgs>> products_of(std::span<const BoundStep* const> linears, int rows,
                                            const MakeContext& context) {
  std::vector<SkinnyArgs> products;
  for (const BoundStep* const linear : linears) {
    SINEW_ASSIGN(SkinnyArgs args, product_of(*linear, rows, context));
    products.push_back(args);
  }
  return products;
}

// Products one after the other: each but the first reads what the one before it left in bf16.
MadeKernel made_chain(std::vector<SkinnyArgs> chain, const MakeContext& context) {
  WorkspaceCutter sizes(nullptr);
  for (size_t i = 0; i < chain.size(); ++i) {
    SINEW_TRY(prepare_skinny(chain[i].rows, context.device));
    if (i + 1 < chain.size()) {
      sizes.take(int64_t{2} * chain[i].rows * chain[i].n);
    }
  }
  return made_kernel(
      [chain = std::move(chain)](Stream stream, std::byte* workspace) -> Status {
        WorkspaceCutter cutter(workspace);
        const void* left = nullptr;
        for (size_t i = 0; i < chain.size(); ++i) {
          SkinnyArgs args = chain[i];
          if (i > 0) {
            args.x = left;
          }
          if (i + 1 < chain.size()) {
            args.out = cutter.take(int64_t{2} * args.rows * args.n);
            left = args.out;
          }
          SINEW_TRY(enqueue_skinny(args, stream));
        }
        return {};
      },
      sizes.used_bytes());
}

const float* floats(const ConstTensorView& view) {
  return static_cast<const float*>(view.data);
}

int rows_of(const ConstTensorView& view) {
  return static_cast<int>(row_count(view.shape));
}

}  // namespace

// Operands: x, tau_mix, the encoder's parameters, positions, state.
Refusal refuse_action_tokens(const ops::Plan& plan, const ops::CompositeCall& call) {
  const std::array rows{call.operands.front(), call.operands.back(), call.results[0]};
  if (const Refusal refusal = refuse_unless_f32(plan, rows)) {
    return refusal;
  }
  const ops::Value tau = call.operands[1];
  if (const Refusal refusal = refuse_unless_once(plan, std::span(&tau, 1))) {
    return refusal;
  }
  const auto linears = steps_of(steps_of(plan, call), OpKind::kLinear);
  const Shape& encoded = plan.info(linears.back()->dsts[0]).shape;
  if (linears.size() != 3 || linears[1]->srcs[2].valid() ||
      plan.info(tau).shape.elements() != row_length(encoded)) {
    return "the time's share of the mix is not one row, or there is another bias";
  }
  const ops::Value positions = call.operands[call.operands.size() - 2];
  if (positions.valid() && (!is_weight(plan, positions) ||
                            plan.info(positions).shape.elements() != encoded.elements())) {
    return "its positions are no parameter of one row each";
  }
  return refuse_products(plan, call, row_count(plan.info(call.operands[0]).shape));
}

MadeKernel make_action_tokens(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto linears = steps_of(steps, OpKind::kLinear);  // in, mix, out
  const auto adds = steps_of(steps, OpKind::kAdd);        // tau, positions
  const BoundStep& concat = steps.back();
  SINEW_CHECK(linears.size() == 3 && concat.op == OpKind::kConcatRows);
  const int rows = rows_of(linears[0]->srcs[0]);
  SINEW_ASSIGN(std::vector<SkinnyArgs> chain, products_of(linears, rows, context));
  chain[0].x = linears[0]->srcs[0].data;
  chain[0].x_is_f32 = true;
  chain[1].bias = floats(adds[0]->srcs[1]);  // [1, d], the same for every row
  chain[1].activation = SkinnyActivation::kSilu;
  if (adds.size() > 1) {
    SINEW_ASSIGN(chain[2].addend, vector_of(*adds[1], 1, context));
  }
  chain[2].leading = floats(concat.srcs[0]);
  chain[2].leading_rows = rows_of(concat.srcs[0]);
  chain[2].out = concat.dsts[0].data;
  chain[2].out_is_f32 = true;
  return made_chain(std::move(chain), context);
}

// Operands: x, modulation, projection, decoder, actions. Only the actions' rows go on.
Refusal refuse_action_update(const ops::Plan& plan, const ops::CompositeCall& call) {
  const std::array rows{call.operands[0], call.operands.back(), call.results[0]};
  if (const Refusal refusal = refuse_unless_f32(plan, rows)) {
    return refusal;
  }
  if (const Refusal refusal = refuse_unless_once(plan, std::span(call.operands).subspan(1, 2))) {
    return refusal;
  }
  return refuse_products(plan, call, row_count(plan.info(call.operands.back()).shape));
}

MadeKernel make_action_update(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto linears = steps_of(steps, OpKind::kLinear);  // projection, hidden, out
  const BoundStep& norm = steps.front();
  const BoundStep& modulate = steps[1];
  const BoundStep& euler = steps.back();
  SINEW_CHECK(linears.size() == 3 && norm.op == OpKind::kLayerNorm &&
              modulate.op == OpKind::kModulate && euler.op == OpKind::kEulerStep);
  const int rows = rows_of(euler.srcs[0]);
  const int64_t skipped = rows_of(norm.srcs[0]) - rows;
  SINEW_ASSIGN(std::vector<SkinnyArgs> chain, products_of(linears, rows, context));
  chain[0].x = floats(norm.srcs[0]) + skipped * chain[0].k;
  chain[0].x_is_f32 = true;
  chain[0].scale = floats(modulate.srcs[1]);
  chain[0].shift = floats(modulate.srcs[2]);
  chain[0].epsilon = std::get<ops::NormAttributes>(norm.attributes).epsilon;
  chain[1].activation = SkinnyActivation::kRelu;
  chain[2].actions = floats(euler.srcs[0]);
  chain[2].dt = std::get<ops::EulerAttributes>(euler.attributes).dt;
  chain[2].out = euler.dsts[0].data;
  chain[2].out_is_f32 = true;
  return made_chain(std::move(chain), context);
}

Refusal refuse_embodiment_mlp(const ops::Plan& plan, const ops::CompositeCall& call) {
  const std::array rows{call.operands[0], call.results[0]};
  if (const Refusal refusal = refuse_unless_f32(plan, rows)) {
    return refusal;
  }
  return refuse_products(plan, call, row_count(plan.info(call.operands[0]).shape));
}

MadeKernel make_embodiment_mlp(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto linears = steps_of(steps, OpKind::kLinear);  // hidden, out
  SINEW_CHECK(linears.size() == 2);
  const int rows = rows_of(linears[0]->srcs[0]);
  SINEW_ASSIGN(std::vector<SkinnyArgs> chain, products_of(linears, rows, context));
  chain[0].x = linears[0]->srcs[0].data;
  chain[0].x_is_f32 = true;
  chain[0].activation = SkinnyActivation::kRelu;
  chain[1].out = linears[1]->dsts[0].data;
  chain[1].out_is_f32 = true;
  return made_chain(std::move(chain), context);
}

}  // namespace sinew::cuda
