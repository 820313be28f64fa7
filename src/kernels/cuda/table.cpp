// CUDA's ordered tables of lowerings.
#include "kernels/cuda/fused/lowerings.h"
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/leaf/make.h"
#include "tensor/dtype.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace sinew::cuda {
namespace {

using ops::OpKind;

std::optional<std::string> refuse_large_heads(const ops::Plan& plan, const ops::Step& step) {
  const Shape& q = plan.info(step.srcs[0]).shape;
  const int64_t head_dim =
      q[q.rank() - 1] / std::get<ops::AttentionAttributes>(step.attributes).heads;
  if (head_dim > kMaxHeadDim) {
    return fmt::format("heads are {} wide, this kernel takes up to {}", head_dim, kMaxHeadDim);
  }
  return std::nullopt;
}

// Rows are copied as they are.
std::optional<std::string> refuse_unless_same(const ops::Plan& plan, const ops::Step& step) {
  const bool is_weight = plan.info(plan.root(step.srcs[0])).kind == ops::ValueKind::kWeight;
  if (!is_weight && plan.info(step.srcs[0]).dtype != plan.info(step.dsts[0]).dtype) {
    return "source and result have different types";
  }
  return std::nullopt;
}

constexpr CudaRow row(OpKind op, std::string_view name, MakeKernel make) {
  return {{op, name, nullptr}, make};
}

constexpr std::array kRows = {
    row(OpKind::kLinear, "cuda:linear", make_linear),
    row(OpKind::kLayerNorm, "cuda:layer_norm", make_layer_norm),
    row(OpKind::kRmsNorm, "cuda:rms_norm", make_rms_norm),
    row(OpKind::kAdd, "cuda:add", make_broadcast),
    row(OpKind::kMul, "cuda:mul", make_broadcast),
    row(OpKind::kModulate, "cuda:modulate", make_broadcast),
    row(OpKind::kGeluTanh, "cuda:gelu_tanh", make_unary),
    row(OpKind::kGeluErf, "cuda:gelu_erf", make_unary),
    row(OpKind::kSilu, "cuda:silu", make_unary),
    row(OpKind::kRelu, "cuda:relu", make_unary),
    CudaRow{{OpKind::kAttention, "cuda:attention", refuse_large_heads}, make_attention},
    row(OpKind::kRope, "cuda:rope", make_rope),
    row(OpKind::kEmbed, "cuda:embed", make_embed),
    CudaRow{{OpKind::kGatherRows, "cuda:gather_rows", refuse_unless_same}, make_gather_rows},
    row(OpKind::kScatterRows, "cuda:scatter_rows", make_scatter_rows),
    row(OpKind::kConcatRows, "cuda:concat_rows", make_concat_rows),
    row(OpKind::kNormalizeFrames, "cuda:normalize_frames", make_normalize_frames),
    row(OpKind::kPatchify, "cuda:patchify", make_patchify),
    row(OpKind::kPixelShuffle, "cuda:pixel_shuffle", make_pixel_shuffle),
    row(OpKind::kEulerStep, "cuda:euler_step", make_euler_step),
    row(OpKind::kTimeSinusoid, "cuda:time_sinusoid", make_time_sinusoid),
    row(OpKind::kRopeTable, "cuda:rope_table", make_rope_table),
    row(OpKind::kResizePositions, "cuda:resize_positions", make_resize_positions),
};

constexpr std::array kCompositeRows = {
    CudaCompositeRow{{"patch_embedding", 1, "cuda:patch_embedding", refuse_patch_embedding},
                     make_patch_embedding},
    CudaCompositeRow{{"vit_stack", 1, "cuda:vit_stack", refuse_vit_blocks}, make_vit_blocks},
    CudaCompositeRow{{"vit_block", 1, "cuda:vit_block", refuse_vit_blocks}, make_vit_blocks},
    CudaCompositeRow{{"vision_projector", 1, "cuda:vision_projector", refuse_vision_projector},
                     make_vision_projector},
    CudaCompositeRow{{"lm_block", 1, "cuda:lm_block", refuse_lm_block}, make_lm_block},
    CudaCompositeRow{{"cross_context", 1, "cuda:cross_context", refuse_cross_context},
                     make_cross_context},
    CudaCompositeRow{{"dit_stack", 1, "cuda:dit_stack", refuse_dit_stack}, make_dit_stack},
    CudaCompositeRow{{"action_tokens", 1, "cuda:action_tokens", refuse_action_tokens},
                     make_action_tokens},
    CudaCompositeRow{{"action_update", 1, "cuda:action_update", refuse_action_update},
                     make_action_update},
    CudaCompositeRow{{"embodiment_mlp", 1, "cuda:embodiment_mlp", refuse_embodiment_mlp},
                     make_embodiment_mlp},
    CudaCompositeRow{{"linear_activation", 1, "cuda:linear_activation", refuse_fused_linear},
                     make_fused_linear},
    CudaCompositeRow{{"linear_residual", 1, "cuda:linear_residual", refuse_fused_linear},
                     make_fused_linear},
    CudaCompositeRow{{"swiglu", 1, "cuda:swiglu", refuse_fused_linear}, make_fused_linear},
};

}  // namespace

std::span<const CudaRow> cuda_rows() {
  return kRows;
}

std::span<const CudaCompositeRow> cuda_composite_rows() {
  return kCompositeRows;
}

}  // namespace sinew::cuda
