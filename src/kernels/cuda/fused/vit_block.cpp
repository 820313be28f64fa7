#include "kernels/cuda/fused/vit_block.h"

#include "base/error.h"
#include "kernels/cuda/fused/workspace.h"

#include <cmath>

namespace sinew::cuda {
namespace {

struct Intermediates {
  void* normed;    // [m, d] bf16, of either norm
  void* qkv;       // [m, 3d] bf16
  void* attended;  // [m, d] bf16
  float* middle;   // [m, d] f32
  void* up;        // [m, f] bf16
};

Intermediates cut(const VitBlockShape& s, WorkspaceCutter& cutter) {
  const int64_t m = s.images * s.patches;
  return {.normed = cutter.take(m * s.width * 2),
          .qkv = cutter.take(m * s.width * 3 * 2),
          .attended = cutter.take(m * s.width * 2),
          .middle = static_cast<float*>(cutter.take(m * s.width * 4)),
          .up = cutter.take(m * s.ffn * 2)};
}

AttentionArgs attention_args(const VitBlockPlan& plan, const Intermediates& t) {
  const VitBlockShape& s = plan.shape;
  const int64_t head_dim = s.width / s.heads;
  const auto* qkv = static_cast<const std::byte*>(t.qkv);
  return {.segments = s.images,
          .queries = s.patches,
          .keys = s.patches,
          .heads = s.heads,
          .kv_heads = s.heads,
          .head_dim = head_dim,
          .scale = 1.0F / std::sqrt(static_cast<float>(head_dim)),
          .q = qkv,
          .k = qkv + s.width * 2,
          .v = qkv + s.width * 4,
          .out = t.attended,
          .q_stride = s.width * 3,
          .k_stride = s.width * 3,
          .v_stride = s.width * 3,
          .out_stride = s.width,
          .is_dependent = plan.device.compute_capability >= 90};
}

}  // namespace

Result<VitBlockPlan> plan_vit_block(const VitBlockShape& shape, const ops::DeviceCaps& device) {
  VitBlockPlan plan{.shape = shape, .device = device};
  const int64_t m = shape.images * shape.patches;
  const int64_t d = shape.width;
  SINEW_TRY(check_norm({.rows = m, .width = d}));
  SINEW_TRY(check_attention(attention_args(plan, {})));
  SINEW_TRY(check_gemm({.m = m, .n = d, .k = shape.ffn}));
  SINEW_TRY(check_gemm({.m = m, .n = shape.ffn, .k = d}));
  plan.qkv = choose_gemm_tile(GemmEpilogue::kBias, m, 3 * d, d, device);
  plan.out = choose_gemm_tile(GemmEpilogue::kResidual, m, d, d, device);
  plan.up = choose_gemm_tile(GemmEpilogue::kGeluTanh, m, shape.ffn, d, device);
  plan.down = choose_gemm_tile(GemmEpilogue::kResidual, m, d, shape.ffn, device);
  plan.attention = choose_attention_tile(attention_args(plan, {}), device);
  WorkspaceCutter cutter(nullptr);
  cut(shape, cutter);
  plan.workspace_bytes = cutter.used_bytes();
  return plan;
}

Status prepare_vit_block(const VitBlockPlan& plan) {
  constexpr float kAnyBias = 0;
  SINEW_TRY(prepare_norm({.width = plan.shape.width, .bias = &kAnyBias}));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kBias, plan.qkv, plan.device));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kResidual, plan.out, plan.device));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kGeluTanh, plan.up, plan.device));
  SINEW_TRY(prepare_gemm(GemmEpilogue::kResidual, plan.down, plan.device));
  return prepare_attention(attention_args(plan, {}), plan.attention);
}

Status enqueue_vit_block(const VitBlockPlan& plan, const VitBlockParameters& p, const float* x,
                         float* out, std::byte* workspace, Stream stream) {
  const VitBlockShape& s = plan.shape;
  const int64_t m = s.images * s.patches;
  const int64_t d = s.width;
  WorkspaceCutter cutter(workspace);
  const Intermediates t = cut(s, cutter);
  NormArgs norm{.rows = m,
                .width = d,
                .out = t.normed,
                .epsilon = s.epsilon,
                .is_dependent = plan.device.compute_capability >= 90};
  const auto product = [&](const GemmArgs& args, const GemmTile& tile) {
    return enqueue_gemm(args, tile, plan.device, stream);
  };
  const auto normalise = [&](const float* rows, const float* weight, const float* bias) {
    norm.x = rows, norm.weight = weight, norm.bias = bias;
    return enqueue_norm(norm, stream);
  };
  SINEW_TRY(normalise(x, p.norm1_w, p.norm1_b));
  SINEW_TRY(product({.epilogue = GemmEpilogue::kBias,
                     .m = m,
                     .n = 3 * d,
                     .k = d,
                     .a = t.normed,
                     .w = p.qkv_w,
                     .bias = p.qkv_b,
                     .out = t.qkv},
                    plan.qkv));
  SINEW_TRY(enqueue_attention(attention_args(plan, t), plan.attention, stream));
  SINEW_TRY(product({.epilogue = GemmEpilogue::kResidual,
                     .m = m,
                     .n = d,
                     .k = d,
                     .a = t.attended,
                     .w = p.out_w,
                     .bias = p.out_b,
                     .residual = x,
                     .out = t.middle},
                    plan.out));
  SINEW_TRY(normalise(t.middle, p.norm2_w, p.norm2_b));
  SINEW_TRY(product({.epilogue = GemmEpilogue::kGeluTanh,
                     .m = m,
                     .n = s.ffn,
                     .k = d,
                     .a = t.normed,
                     .w = p.up_w,
                     .bias = p.up_b,
                     .out = t.up},
                    plan.up));
  return product({.epilogue = GemmEpilogue::kResidual,
                  .m = m,
                  .n = d,
                  .k = s.ffn,
                  .a = t.up,
                  .w = p.down_w,
                  .bias = p.down_b,
                  .residual = t.middle,
                  .out = out},
                 plan.down);
}

}  // namespace sinew::cuda
