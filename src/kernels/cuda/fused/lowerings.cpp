// Binds composites of vision and language, and products with an epilogue, to their kernels:
// refusals before anything is placed, parameters in the forms that the kernels read, and closures
// that enqueue.
#include "kernels/cuda/fused/lowerings.h"

#include "base/check.h"
#include "base/error.h"
#include "kernels/cuda/fused/join.h"
#include "kernels/cuda/fused/lm_block.h"
#include "kernels/cuda/fused/lowering_parts.h"
#include "kernels/cuda/fused/norm_fold.h"
#include "kernels/cuda/fused/vit_block.h"
#include "kernels/cuda/leaf/make.h"

#include <array>
#include <vector>

namespace sinew::cuda {
namespace {

using ops::OpKind;

Refusal reason(const Status& status) {
  return status.ok() ? Refusal() : Refusal(status.message());
}

// Parameters one after the other in `dtype`: the rows of several matrices as one.
Result<const void*> joined(std::span<const BoundStep* const> linears, size_t source, DType dtype,
                           const MakeContext& context) {
  std::vector<ConstTensorView> parts;
  size_t bytes = 0;
  for (const BoundStep* const linear : linears) {
    SINEW_CHECK(linear->src_is_weight[source]);
    parts.push_back(linear->srcs[source]);
    bytes += static_cast<size_t>(parts.back().shape.elements()) * dtype_bytes(dtype);
  }
  return context.weights.packed(
      parts, {.name = "joined", .bytes = bytes, .source = dtype, .pack = &join_parameters});
}

VitBlockShape vit_shape(const Shape& x, const ops::AttentionAttributes& attention,
                        const ops::NormAttributes& norm, int64_t ffn) {
  return {.images = attention.segments,
          .patches = row_count(x) / attention.segments,
          .width = row_length(x),
          .heads = attention.heads,
          .ffn = ffn,
          .epsilon = norm.epsilon};
}

LmBlockShape lm_shape(const Shape& x, const ops::AttentionAttributes& attention,
                      const ops::NormAttributes& norm, int64_t head_dim, int64_t ffn) {
  return {.tokens = row_count(x),
          .width = row_length(x),
          .heads = attention.heads,
          .kv_heads = attention.kv_heads,
          .head_dim = head_dim,
          .ffn = ffn,
          .epsilon = norm.epsilon};
}

}  // namespace

Refusal refuse_vit_blocks(const ops::Plan& plan, const ops::CompositeCall& call) {
  if (const Refusal refusal = refuse_device(plan)) {
    return refusal;
  }
  const std::span<const ops::Value> parameters = std::span(call.operands).subspan(1);
  if (const Refusal refusal = refuse_unless_weights(plan, parameters)) {
    return refusal;
  }
  const std::array rows{call.operands[0], call.results[0]};
  if (const Refusal refusal = refuse_unless_f32(plan, rows)) {
    return refusal;
  }
  const auto steps = steps_of(plan, call);
  const auto attention = steps_of(steps, OpKind::kAttention);
  const auto norms = steps_of(steps, OpKind::kLayerNorm);
  constexpr size_t kUpBias = 13;
  const int64_t ffn = plan.info(parameters[kUpBias]).shape.elements();
  const size_t of_block = parameters.size() / attention.size();
  for (size_t i = kUpBias; i < parameters.size(); i += of_block) {
    if (plan.info(parameters[i]).shape.elements() != ffn) {
      return "its blocks differ in width";
    }
  }
  return reason(
      plan_vit_block(vit_shape(plan.info(call.operands[0]).shape,
                               std::get<ops::AttentionAttributes>(attention[0]->attributes),
                               std::get<ops::NormAttributes>(norms[0]->attributes), ffn),
                     plan.device)
          .status());
}

namespace {

// The product of some linears, with the layer norm before them folded in where it comes behind.
struct NormedProduct {
  const void* w = nullptr;
  const float* bias = nullptr;
  const float* gain = nullptr;
};

Result<NormedProduct> normed_product(std::span<const BoundStep* const> linears,
                                     const BoundStep& norm, bool is_behind,
                                     const MakeContext& context) {
  NormedProduct product;
  if (is_behind) {
    std::vector<ConstTensorView> matrices;
    std::vector<ConstTensorView> biases;
    for (const BoundStep* const linear : linears) {
      matrices.push_back(linear->srcs[1]);
      biases.push_back(linear->srcs[2]);
    }
    SINEW_ASSIGN(const FoldedProduct folded,
                 folded_product(context.weights, matrices, biases, norm.srcs[1], norm.srcs[2]));
    return NormedProduct{.w = folded.w, .bias = folded.offset, .gain = folded.gain};
  }
  if (linears.size() == 1) {
    SINEW_ASSIGN(product.w, matrix_of(*linears[0], context));
    SINEW_ASSIGN(product.bias, vector_of(*linears[0], 2, context));
    return product;
  }
  SINEW_ASSIGN(product.w, joined(linears, 1, DType::kBf16, context));
  SINEW_ASSIGN(const void* const bias, joined(linears, 2, DType::kF32, context));
  product.bias = static_cast<const float*>(bias);
  return product;
}

Result<VitBlockParameters> vit_parameters(std::span<const BoundStep> block, bool norms_behind,
                                          const MakeContext& context) {
  const auto norms = steps_of(block, OpKind::kLayerNorm);
  const auto linears = steps_of(block, OpKind::kLinear);  // q, k, v, out, up, down
  SINEW_CHECK(norms.size() == 2 && linears.size() == 6);
  const std::span<const BoundStep* const> all(linears);
  VitBlockParameters p;
  SINEW_ASSIGN(const NormedProduct qkv,
               normed_product(all.first(3), *norms[0], norms_behind, context));
  SINEW_ASSIGN(const NormedProduct up,
               normed_product(all.subspan(4, 1), *norms[1], norms_behind, context));
  SINEW_ASSIGN(p.norm1_w, vector_of(*norms[0], 1, context));
  SINEW_ASSIGN(p.norm1_b, vector_of(*norms[0], 2, context));
  p.qkv_w = qkv.w, p.qkv_b = qkv.bias, p.qkv_gain = qkv.gain;
  SINEW_ASSIGN(p.out_w, matrix_of(*linears[3], context));
  SINEW_ASSIGN(p.out_b, vector_of(*linears[3], 2, context));
  SINEW_ASSIGN(p.norm2_w, vector_of(*norms[1], 1, context));
  SINEW_ASSIGN(p.norm2_b, vector_of(*norms[1], 2, context));
  p.up_w = up.w, p.up_b = up.bias, p.up_gain = up.gain;
  SINEW_ASSIGN(p.down_w, matrix_of(*linears[5], context));
  SINEW_ASSIGN(p.down_b, vector_of(*linears[5], 2, context));
  return p;
}

}  // namespace

MadeKernel make_vit_blocks(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto attention = steps_of(steps, OpKind::kAttention);  // one a block
  const size_t count = attention.size();
  SINEW_CHECK(count > 0 && steps.size() % count == 0);
  const size_t of_block = steps.size() / count;
  const auto linears = steps_of(steps.first(of_block), OpKind::kLinear);
  SINEW_CHECK(linears.size() == 6);
  SINEW_ASSIGN(
      const VitBlockPlan plan,
      plan_vit_block(vit_shape(steps[0].srcs[0].shape,
                               std::get<ops::AttentionAttributes>(attention[0]->attributes),
                               std::get<ops::NormAttributes>(steps[0].attributes),
                               row_length(linears[4]->dsts[0].shape)),
                     context.device));
  std::vector<VitBlockParameters> blocks;
  for (size_t i = 0; i < count; ++i) {
    SINEW_ASSIGN(const VitBlockParameters p,
                 vit_parameters(steps.subspan(i * of_block, of_block), plan.norms_behind, context));
    blocks.push_back(p);
  }
  SINEW_TRY(prepare_vit_block(plan));
  const auto* x = static_cast<const float*>(steps.front().srcs[0].data);
  auto* out = static_cast<float*>(steps.back().dsts[0].data);
  return made_kernel(
      [plan, blocks, x, out](Stream stream, std::byte* workspace) {
        return enqueue_vit_blocks(plan, blocks, x, out, workspace, stream);
      },
      plan.workspace_bytes);
}

Refusal refuse_lm_block(const ops::Plan& plan, const ops::CompositeCall& call) {
  if (const Refusal refusal = refuse_device(plan)) {
    return refusal;
  }
  if (const Refusal refusal = refuse_unless_weights(plan, std::span(call.operands).subspan(3))) {
    return refusal;
  }
  const std::array rows{call.operands[0], call.operands[1], call.operands[2], call.results[0]};
  if (const Refusal refusal = refuse_unless_f32(plan, rows)) {
    return refusal;
  }
  const auto steps = steps_of(plan, call);
  const auto attention = steps_of(steps, OpKind::kAttention);
  const auto norms = steps_of(steps, OpKind::kRmsNorm);
  const Shape& gate = plan.info(call.operands[11]).shape;
  const Shape& x = plan.info(call.operands[0]).shape;
  return reason(
      plan_lm_block(
          lm_shape(x, std::get<ops::AttentionAttributes>(attention[0]->attributes),
                   std::get<ops::NormAttributes>(norms[0]->attributes),
                   plan.info(call.operands[7]).shape.elements(), gate.elements() / row_length(x)),
          plan.device)
          .status());
}

MadeKernel make_lm_block(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto norms = steps_of(steps, OpKind::kRmsNorm);   // input, q, k, post
  const auto linears = steps_of(steps, OpKind::kLinear);  // q, k, v, out, gate, up, down
  const auto ropes = steps_of(steps, OpKind::kRope);
  const auto attention = steps_of(steps, OpKind::kAttention);
  SINEW_CHECK(norms.size() == 4 && linears.size() == 7 && ropes.size() == 2 &&
              attention.size() == 1);
  const Shape& x = steps.front().srcs[0].shape;
  SINEW_ASSIGN(
      const LmBlockPlan plan,
      plan_lm_block(
          lm_shape(x, std::get<ops::AttentionAttributes>(attention[0]->attributes),
                   std::get<ops::NormAttributes>(norms[0]->attributes),
                   norms[1]->srcs[1].shape.elements(), row_length(linears[4]->dsts[0].shape)),
          context.device));
  const std::span<const BoundStep* const> all(linears);
  LmBlockParameters p;
  SINEW_ASSIGN(p.input_norm, vector_of(*norms[0], 1, context));
  SINEW_ASSIGN(p.qkv_w, joined(all.first(3), 1, DType::kBf16, context));
  SINEW_ASSIGN(p.q_norm, vector_of(*norms[1], 1, context));
  SINEW_ASSIGN(p.k_norm, vector_of(*norms[2], 1, context));
  SINEW_ASSIGN(p.out_w, matrix_of(*linears[3], context));
  SINEW_ASSIGN(p.post_norm, vector_of(*norms[3], 1, context));
  SINEW_ASSIGN(p.gate_up_w, joined(all.subspan(4, 2), 1, DType::kBf16, context));
  SINEW_ASSIGN(p.down_w, matrix_of(*linears[6], context));
  SINEW_TRY(prepare_lm_block(plan));
  const LmBlockOperands operands{.x = static_cast<const float*>(steps.front().srcs[0].data),
                                 .cos = static_cast<const float*>(ropes[0]->srcs[1].data),
                                 .sin = static_cast<const float*>(ropes[0]->srcs[2].data),
                                 .out = static_cast<float*>(steps.back().dsts[0].data)};
  return made_kernel(
      [plan, p, operands](Stream stream, std::byte* workspace) {
        return enqueue_lm_block(plan, p, operands, workspace, stream);
      },
      plan.workspace_bytes);
}

namespace {

GemmEpilogue epilogue_of(OpKind last) {
  switch (last) {
    case OpKind::kAdd:
      return GemmEpilogue::kResidual;
    case OpKind::kGeluTanh:
      return GemmEpilogue::kGeluTanh;
    case OpKind::kGeluErf:
      return GemmEpilogue::kGeluErf;
    default:
      SINEW_CHECK(last == OpKind::kMul);
      return GemmEpilogue::kSwiGlu;
  }
}

// What a product of the plan needs to be one of gemm.h: bf16 rows, a parameter of [n, k], and a
// shape for which that was measured to be worth it. `matrices` as large as the linear's lie below
// each other.
Refusal refuse_product(const ops::Plan& plan, const ops::Step& linear, GemmEpilogue epilogue,
                       int64_t matrices) {
  if (const Refusal refusal = refuse_device(plan)) {
    return refusal;
  }
  const ops::ValueInfo& x = plan.info(linear.srcs[0]);
  if (x.dtype != DType::kBf16) {
    return "its rows are not stored in bf16";
  }
  if (std::get<ops::LinearAttributes>(linear.attributes).weights_in_out) {
    return "its matrix is stored [in, out]";
  }
  if (!is_weight(plan, linear.srcs[1]) ||
      (linear.srcs[2].id >= 0 && !is_weight(plan, linear.srcs[2]))) {
    return "its matrix or bias is no parameter";
  }
  const int64_t m = row_count(x.shape);
  const int64_t k = row_length(x.shape);
  const int64_t n = m == 0 ? 0 : plan.info(linear.srcs[1]).shape.elements() / k * matrices;
  if (!is_measured_gemm(epilogue, m, n, k, plan.device)) {
    return fmt::format("no tile was measured for [{}, {}] times [{}, {}]", m, k, n, k);
  }
  return std::nullopt;
}

MadeKernel made_gemm(const GemmArgs& args, const MakeContext& context) {
  const GemmTile tile = choose_gemm_tile(args.epilogue, args.m, args.n, args.k, context.device);
  SINEW_TRY(prepare_gemm(args.epilogue, tile, context.device));
  return made_kernel([args, tile, device = context.device](Stream stream, std::byte*) {
    return enqueue_gemm(args, tile, device, stream);
  });
}

Result<GemmArgs> gemm_args(const BoundStep& linear, const MakeContext& context) {
  GemmArgs args;
  args.m = row_count(linear.srcs[0].shape);
  args.k = row_length(linear.srcs[0].shape);
  args.n = linear.srcs[1].shape.elements() / args.k;
  args.a = linear.srcs[0].data;
  SINEW_ASSIGN(args.w, matrix_of(linear, context));
  if (linear.srcs[2].data != nullptr) {
    SINEW_ASSIGN(args.bias, vector_of(linear, 2, context));
  }
  return args;
}

}  // namespace

Refusal refuse_fused_linear(const ops::Plan& plan, const ops::CompositeCall& call) {
  const auto steps = steps_of(plan, call);
  if (steps.back().op == OpKind::kRelu) {
    return "it has no epilogue with relu";
  }
  const GemmEpilogue epilogue = epilogue_of(steps.back().op);
  const auto linears = steps_of(steps, OpKind::kLinear);
  const int64_t matrices = epilogue == GemmEpilogue::kSwiGlu ? 2 : 1;
  if (const Refusal refusal = refuse_product(plan, *linears[0], epilogue, matrices)) {
    return refusal;
  }
  const DType result = plan.info(call.results[0]).dtype;
  if (epilogue != GemmEpilogue::kResidual) {
    return result == DType::kBf16 ? Refusal() : Refusal("its result is not stored in bf16");
  }
  const ops::Value residual = call.operands[3];
  if (result != DType::kF32 || plan.info(residual).dtype != DType::kF32 ||
      is_weight(plan, residual)) {
    return "the sum is not of f32 rows";
  }
  return std::nullopt;
}

MadeKernel make_fused_linear(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto linears = steps_of(steps, OpKind::kLinear);
  SINEW_ASSIGN(GemmArgs args, gemm_args(*linears[0], context));
  args.epilogue = epilogue_of(steps.back().op);
  args.out = steps.back().dsts[0].data;
  if (args.epilogue == GemmEpilogue::kResidual) {
    args.residual = static_cast<const float*>(steps.back().srcs[1].data);
  }
  if (args.epilogue == GemmEpilogue::kSwiGlu) {
    args.n *= 2;
    SINEW_ASSIGN(args.w, joined(linears, 1, DType::kBf16, context));
  }
  return made_gemm(args, context);
}

// Operands: rows, then matrix and bias of every part.
Refusal refuse_cross_context(const ops::Plan& plan, const ops::CompositeCall& call) {
  const auto steps = steps_of(plan, call);
  const std::span<const ops::Value> operands(call.operands);
  if (const Refusal refusal = refuse_unless_weights(plan, operands.subspan(1))) {
    return refusal;
  }
  if (steps.size() > static_cast<size_t>(GemmParts::kMost)) {
    return fmt::format("it has {} parts, {} is the most", steps.size(), GemmParts::kMost);
  }
  for (const ops::Step& step : steps) {
    const auto* const linear = std::get_if<ops::LinearAttributes>(&step.attributes);
    if (linear == nullptr || linear->weights_in_out) {
      return "one of its matrices is stored [in, out]";
    }
  }
  for (const ops::Value result : call.results) {
    if (plan.info(result).dtype != DType::kBf16 ||
        plan.info(result).shape != plan.info(call.results[0]).shape) {
      return "its results are not all stored in bf16 with one shape";
    }
  }
  return refuse_product(plan, steps.front(), GemmEpilogue::kBias,
                        static_cast<int64_t>(steps.size()));
}

MadeKernel make_cross_context(std::span<const BoundStep> steps, const MakeContext& context) {
  const auto linears = steps_of(steps, OpKind::kLinear);
  SINEW_CHECK(linears.size() == steps.size());
  GemmArgs args{.epilogue = GemmEpilogue::kBias,
                .m = row_count(steps[0].srcs[0].shape),
                .k = row_length(steps[0].srcs[0].shape),
                .a = steps[0].srcs[0].data};
  args.parts.columns = static_cast<int>(row_length(steps[0].dsts[0].shape));
  args.n = args.parts.columns * static_cast<int64_t>(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    args.parts.out[i] = steps[i].dsts[0].data;
  }
  SINEW_ASSIGN(args.w, joined(linears, 1, DType::kBf16, context));
  SINEW_ASSIGN(const void* const bias, joined(linears, 2, DType::kF32, context));
  args.bias = static_cast<const float*>(bias);
  return made_gemm(args, context);
}

}  // namespace sinew::cuda
