#include "kernels/cuda/fused/vit_block.h"

#include "base/error.h"
#include "kernels/cuda/fused/workspace.h"

#include <cmath>

namespace sinew::cuda {
namespace {

struct Intermediates {
  void* normed;       // [m, d] bf16, of either norm
  void* qkv;          // [m, 3d] bf16
  void* attended;     // [m, d] bf16
  float* middle;      // [m, d] f32, and what blocks give each other
  void* up;           // [m, f] bf16
  float* statistics;  // of rows before either norm, with norms behind
  float* centres;     // [m]
};

Intermediates cut(const VitBlockPlan& plan, WorkspaceCutter& cutter) {
  const VitBlockShape& s = plan.shape;
  const int64_t m = s.images * s.patches;
  const int64_t behind = plan.norms_behind ? m : 0;
  return {.normed = cutter.take(m * s.width * 2),
          .qkv = cutter.take(m * s.width * 3 * 2),
          .attended = cutter.take(m * s.width * 2),
          .middle = static_cast<float*>(cutter.take(m * s.width * 4)),
          .up = cutter.take(m * s.ffn * 2),
          .statistics =
              static_cast<float*>(cutter.take(row_statistics_stride(behind) * kMostRowParts * 8)),
          .centres = static_cast<float*>(cutter.take(behind * 4))};
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

// One call of enqueue_vit_blocks().
struct Launch {
  const VitBlockPlan& plan;
  Intermediates t;
  Stream stream;

  int64_t rows() const { return plan.shape.images * plan.shape.patches; }

  Status product(const GemmArgs& args, const GemmTile& tile) const {
    return enqueue_gemm(args, tile, plan.device, stream);
  }
};

Status normalise(const Launch& l, const float* x, const float* weight, const float* bias) {
  return enqueue_norm({.rows = l.rows(),
                       .width = l.plan.shape.width,
                       .x = x,
                       .weight = weight,
                       .bias = bias,
                       .out = l.t.normed,
                       .epsilon = l.plan.shape.epsilon,
                       .statistics = l.plan.norms_behind ? l.t.statistics : nullptr,
                       .centres = l.t.centres,
                       .is_dependent = l.plan.device.compute_capability >= 90},
                      l.stream);
}

NormBehind norm_behind(const Launch& l, int parts, const float* gain) {
  if (!l.plan.norms_behind) {
    return {};
  }
  return {.statistics = l.t.statistics,
          .parts = parts,
          .gain = gain,
          .centres = l.t.centres,
          .epsilon = l.plan.shape.epsilon};
}

// Unless nothing reads it.
NormAhead norm_ahead(const Launch& l, const float* weight) {
  if (!l.plan.norms_behind || weight == nullptr) {
    return {};
  }
  return {
      .rows = l.t.normed, .weight = weight, .centres = l.t.centres, .statistics = l.t.statistics};
}

// x -> middle. `parts` of the statistics that the block before left of x, or 0.
Status enqueue_attention_half(const Launch& l, const VitBlockParameters& p, const float* x,
                              int parts) {
  const int64_t m = l.rows();
  const int64_t d = l.plan.shape.width;
  if (parts == 0 || !l.plan.norms_behind) {
    SINEW_TRY(normalise(l, x, p.norm1_w, p.norm1_b));
  }
  SINEW_TRY(l.product({.epilogue = GemmEpilogue::kBias,
                       .m = m,
                       .n = 3 * d,
                       .k = d,
                       .a = l.t.normed,
                       .w = p.qkv_w,
                       .bias = p.qkv_b,
                       .out = l.t.qkv,
                       .behind = norm_behind(l, parts == 0 ? 1 : parts, p.qkv_gain)},
                      l.plan.qkv));
  SINEW_TRY(enqueue_attention(attention_args(l.plan, l.t), l.plan.attention, l.stream));
  return l.product({.epilogue = GemmEpilogue::kResidual,
                    .m = m,
                    .n = d,
                    .k = d,
                    .a = l.t.attended,
                    .w = p.out_w,
                    .bias = p.out_b,
                    .residual = x,
                    .out = l.t.middle,
                    .ahead = norm_ahead(l, p.norm2_w)},
                   l.plan.out);
}

// middle -> out. `next_norm`: the weight of the next block's first norm, or null.
Status enqueue_ffn_half(const Launch& l, const VitBlockParameters& p, const float* next_norm,
                        float* out) {
  const int64_t m = l.rows();
  const int64_t d = l.plan.shape.width;
  const int64_t f = l.plan.shape.ffn;
  if (!l.plan.norms_behind) {
    SINEW_TRY(normalise(l, l.t.middle, p.norm2_w, p.norm2_b));
  }
  SINEW_TRY(l.product({.epilogue = GemmEpilogue::kGeluTanh,
                       .m = m,
                       .n = f,
                       .k = d,
                       .a = l.t.normed,
                       .w = p.up_w,
                       .bias = p.up_b,
                       .out = l.t.up,
                       .behind = norm_behind(l, gemm_row_parts(l.plan.out, d), p.up_gain)},
                      l.plan.up));
  return l.product({.epilogue = GemmEpilogue::kResidual,
                    .m = m,
                    .n = d,
                    .k = f,
                    .a = l.t.up,
                    .w = p.down_w,
                    .bias = p.down_b,
                    .residual = l.t.middle,
                    .out = out,
                    .ahead = norm_ahead(l, next_norm)},
                   l.plan.down);
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
  plan.norms_behind = can_norm_behind(plan.out, d, device) && can_norm_behind(plan.down, d, device);
  WorkspaceCutter cutter(nullptr);
  cut(plan, cutter);
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

Status enqueue_vit_blocks(const VitBlockPlan& plan, std::span<const VitBlockParameters> blocks,
                          const float* x, float* out, std::byte* workspace, Stream stream) {
  WorkspaceCutter cutter(workspace);
  const Launch l{.plan = plan, .t = cut(plan, cutter), .stream = stream};
  const int parts = gemm_row_parts(plan.down, plan.shape.width);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const bool is_last = i + 1 == blocks.size();
    SINEW_TRY(enqueue_attention_half(l, blocks[i], i == 0 ? x : l.t.middle, i == 0 ? 0 : parts));
    SINEW_TRY(enqueue_ffn_half(l, blocks[i], is_last ? nullptr : blocks[i + 1].norm1_w,
                               is_last ? out : l.t.middle));
  }
  return {};
}

}  // namespace sinew::cuda
