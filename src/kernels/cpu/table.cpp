// The CPU's ordered tables of lowerings.
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/make.h"
#include "tensor/dtype.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::cpu {
namespace {

using ops::OpKind;

// The type of the first of `values` that is an activation stored otherwise than as f32. Parameters
// are converted from whatever type they are stored in.
std::optional<std::string> not_f32(const ops::Plan& plan, const std::vector<ops::Value>& values) {
  for (const ops::Value value : values) {
    if (!value.valid()) {
      continue;
    }
    const ops::ValueInfo& info = plan.info(value);
    if (!info.is_index && !info.is_frame &&
        plan.info(plan.root(value)).kind != ops::ValueKind::kWeight && info.dtype != DType::kF32) {
      return "activations are " + std::string(dtype_name(info.dtype)) +
             ", this kernel computes in F32";
    }
  }
  return std::nullopt;
}

std::optional<std::string> refuse_unless_f32(const ops::Plan& plan, const ops::Step& step) {
  std::optional<std::string> reason = not_f32(plan, step.srcs);
  return reason ? reason : not_f32(plan, step.dsts);
}

// Kernels that compute in f32 and store what they are told to.
std::optional<std::string> refuse_unless_f32_sources(const ops::Plan& plan, const ops::Step& step) {
  return not_f32(plan, step.srcs);
}

// Products read f32 or bf16 where products are in bf16, f32 alone elsewhere.
std::optional<std::string> refuse_product(const ops::Plan& plan, const ops::Step& step) {
  return plan.product_dtype == DType::kBf16 ? std::nullopt : refuse_unless_f32(plan, step);
}

// Rows are copied as they are.
std::optional<std::string> refuse_unless_same(const ops::Plan& plan, const ops::Step& step) {
  if (plan.info(step.srcs[0]).dtype != plan.info(step.dsts[0]).dtype) {
    return "source and result have different types";
  }
  return std::nullopt;
}

constexpr CpuRow row(OpKind op, std::string_view name, MakeKernel make) {
  return {{op, name, refuse_unless_f32}, make};
}

constexpr CpuRow storing_row(OpKind op, std::string_view name, MakeKernel make) {
  return {{op, name, refuse_unless_f32_sources}, make};
}

constexpr std::array kRows = {
    CpuRow{{OpKind::kLinear, "cpu:linear", refuse_product}, make_linear},
    storing_row(OpKind::kLayerNorm, "cpu:layer_norm", make_layer_norm),
    storing_row(OpKind::kRmsNorm, "cpu:rms_norm", make_rms_norm),
    storing_row(OpKind::kAdd, "cpu:add", make_add),
    storing_row(OpKind::kMul, "cpu:mul", make_mul),
    storing_row(OpKind::kModulate, "cpu:modulate", make_modulate),
    storing_row(OpKind::kGeluTanh, "cpu:gelu_tanh", make_gelu_tanh),
    storing_row(OpKind::kGeluErf, "cpu:gelu_erf", make_gelu_erf),
    storing_row(OpKind::kSilu, "cpu:silu", make_silu),
    storing_row(OpKind::kRelu, "cpu:relu", make_relu),
    CpuRow{{OpKind::kAttention, "cpu:attention", refuse_product}, make_attention},
    storing_row(OpKind::kRope, "cpu:rope", make_rope),
    row(OpKind::kEmbed, "cpu:embed", make_embed),
    CpuRow{{OpKind::kGatherRows, "cpu:gather_rows", refuse_unless_same}, make_gather_rows},
    row(OpKind::kScatterRows, "cpu:scatter_rows", make_scatter_rows),
    row(OpKind::kConcatRows, "cpu:concat_rows", make_concat_rows),
    storing_row(OpKind::kNormalizeFrames, "cpu:normalize_frames", make_normalize_frames),
    storing_row(OpKind::kPatchify, "cpu:patchify", make_patchify),
    row(OpKind::kPixelShuffle, "cpu:pixel_shuffle", make_pixel_shuffle),
    row(OpKind::kEulerStep, "cpu:euler_step", make_euler_step),
    row(OpKind::kTimeSinusoid, "cpu:time_sinusoid", make_time_sinusoid),
    row(OpKind::kRopeTable, "cpu:rope_table", make_rope_table),
    row(OpKind::kResizePositions, "cpu:resize_positions", make_resize_positions),
};

constexpr std::array kCompositeRows = {
    CpuCompositeRow{{"linear_activation", 1, "cpu:linear_activation"}, make_linear_activation},
    CpuCompositeRow{{"linear_residual", 1, "cpu:linear_residual"}, make_linear_residual},
    CpuCompositeRow{{"swiglu", 1, "cpu:swiglu"}, make_swiglu},
};

}  // namespace

std::span<const CpuRow> cpu_rows() {
  return kRows;
}

std::span<const CpuCompositeRow> cpu_composite_rows() {
  return kCompositeRows;
}

}  // namespace sinew::cpu
