#include "kernels/cuda/fused/lm_block.h"

#include "base/error.h"
#include "kernels/cuda/fused/workspace.h"

#include <cmath>

namespace sinew::cuda {
namespace {

struct Intermediates {
  void* normed;    // [t, d] bf16, of either norm
  void* qkv;       // [t, (h + 2g) e] bf16
  void* attended;  // [t, h e] bf16
  float* middle;   // [t, d] f32
  void* gated;     // [t, f] bf16
};

int64_t qkv_width(const LmBlockShape& s) {
  return (s.heads + 2 * s.kv_heads) * s.head_dim;
}

Intermediates cut(const LmBlockShape& s, WorkspaceCutter& cutter) {
  return {.normed = cutter.take(s.tokens * s.width * 2),
          .qkv = cutter.take(s.tokens * qkv_width(s) * 2),
          .attended = cutter.take(s.tokens * s.heads * s.head_dim * 2),
          .middle = static_cast<float*>(cutter.take(s.tokens * s.width * 4)),
          .gated = cutter.take(s.tokens * s.ffn * 2)};
}

AttentionArgs attention_args(const LmBlockPlan& plan, const Intermediates& t) {
  const LmBlockShape& s = plan.shape;
  const auto* qkv = static_cast<const std::byte*>(t.qkv);
  const int64_t stride = qkv_width(s);
  return {.segments = 1,
          .queries = s.tokens,
          .keys = s.tokens,
          .heads = s.heads,
          .kv_heads = s.kv_heads,
          .head_dim = s.head_dim,
          .scale = 1.0F / std::sqrt(static_cast<float>(s.head_dim)),
          .is_causal = true,
          .q = qkv,
          .k = qkv + s.heads * s.head_dim * 2,
          .v = qkv + (s.heads + s.kv_heads) * s.head_dim * 2,
          .out = t.attended,
          .q_stride = stride,
          .k_stride = stride,
          .v_stride = stride,
          .out_stride = s.heads * s.head_dim,
          .is_dependent = plan.device.compute_capability >= 90};
}

}  // namespace

Result<LmBlockPlan> plan_lm_block(const LmBlockShape& shape, const ops::DeviceCaps& device) {
  LmBlockPlan plan{.shape = shape, .device = device};
  if (shape.head_dim != 128) {
    return unsupported("a fused lm_block with heads of {}: its rotation is made for 128",
                       shape.head_dim);
  }
  const int64_t t = shape.tokens;
  const int64_t d = shape.width;
  const int64_t attended = shape.heads * shape.head_dim;
  SINEW_TRY(check_norm({.rows = t, .width = d}));
  SINEW_TRY(check_attention(attention_args(plan, {})));
  SINEW_TRY(check_gemm({.epilogue = GemmEpilogue::kSwiGlu, .m = t, .n = 2 * shape.ffn, .k = d}));
  SINEW_TRY(check_gemm({.m = t, .n = d, .k = shape.ffn}));
  plan.qkv = choose_gemm_tile(GemmEpilogue::kHeadRope, t, qkv_width(shape), d, device);
  plan.out = choose_gemm_tile(GemmEpilogue::kResidual, t, d, attended, device);
  plan.gate_up = choose_gemm_tile(GemmEpilogue::kSwiGlu, t, 2 * shape.ffn, d, device);
  plan.down = choose_gemm_tile(GemmEpilogue::kResidual, t, d, shape.ffn, device);
  plan.attention = choose_attention_tile(attention_args(plan, {}), device);
  WorkspaceCutter cutter(nullptr);
  cut(shape, cutter);
  plan.workspace_bytes = cutter.used_bytes();
  return plan;
}

Status prepare_lm_block(const LmBlockPlan& plan) {
  SINEW_TRY(prepare_norm({.width = plan.shape.width}));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kHeadRope, plan.qkv, plan.device));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kResidual, plan.out, plan.device));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kSwiGlu, plan.gate_up, plan.device));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kResidual, plan.down, plan.device));
  return prepare_attention(attention_args(plan, {}), plan.attention);
}

Status enqueue_lm_block(const LmBlockPlan& plan, const LmBlockParameters& p,
                        const LmBlockOperands& operands, std::byte* workspace, Stream stream) {
  const LmBlockShape& s = plan.shape;
  WorkspaceCutter cutter(workspace);
  const Intermediates t = cut(s, cutter);
  NormArgs norm{.rows = s.tokens,
                .width = s.width,
                .x = operands.x,
                .weight = p.input_norm,
                .out = t.normed,
                .epsilon = s.epsilon,
                .is_dependent = plan.device.compute_capability >= 90};
  const auto product = [&](const GemmArgs& args, const GemmTile& tile) {
    return enqueue_gemm(args, tile, plan.device, stream);
  };
  SINEW_TRY(enqueue_norm(norm, stream));
  SINEW_TRY(product({.epilogue = GemmEpilogue::kHeadRope,
                     .m = s.tokens,
                     .n = qkv_width(s),
                     .k = s.width,
                     .a = t.normed,
                     .w = p.qkv_w,
                     .out = t.qkv,
                     .head_rope = {.q_norm = p.q_norm,
                                   .k_norm = p.k_norm,
                                   .cos = operands.cos,
                                   .sin = operands.sin,
                                   .q_heads = s.heads,
                                   .k_heads = s.kv_heads,
                                   .epsilon = s.epsilon}},
                    plan.qkv));
  SINEW_TRY(enqueue_attention(attention_args(plan, t), plan.attention, stream));
  SINEW_TRY(product({.epilogue = GemmEpilogue::kResidual,
                     .m = s.tokens,
                     .n = s.width,
                     .k = s.heads * s.head_dim,
                     .a = t.attended,
                     .w = p.out_w,
                     .residual = operands.x,
                     .out = t.middle},
                    plan.out));
  norm.x = t.middle;
  norm.weight = p.post_norm;
  SINEW_TRY(enqueue_norm(norm, stream));
  SINEW_TRY(product({.epilogue = GemmEpilogue::kSwiGlu,
                     .m = s.tokens,
                     .n = 2 * s.ffn,
                     .k = s.width,
                     .a = t.normed,
                     .w = p.gate_up_w,
                     .out = t.gated},
                    plan.gate_up));
  return product({.epilogue = GemmEpilogue::kResidual,
                  .m = s.tokens,
                  .n = s.width,
                  .k = s.ffn,
                  .a = t.gated,
                  .w = p.down_w,
                  .residual = t.middle,
                  .out = operands.out},
                 plan.down);
}

}  // namespace sinew::cuda
