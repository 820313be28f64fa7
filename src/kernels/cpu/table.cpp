// The CPU's ordered table of lowerings: one per op so far, each for f32 activations.
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/make.h"
#include "tensor/dtype.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace sinew::cpu {
namespace {

using ops::OpKind;

bool is_f32(const ops::Plan& plan, ops::Value value) {
  if (!value.valid()) {
    return true;
  }
  const ops::ValueInfo& info = plan.info(value);
  // Parameters are converted from whatever type they are stored in.
  return info.is_index || plan.info(plan.root(value)).kind == ops::ValueKind::kWeight ||
         info.dtype == DType::kF32;
}

std::optional<std::string> refuse_unless_f32(const ops::Plan& plan, const ops::Step& step) {
  for (const auto* values : {&step.srcs, &step.dsts}) {
    for (const ops::Value value : *values) {
      if (!is_f32(plan, value)) {
        return "activations are " + std::string(dtype_name(plan.info(value).dtype)) +
               ", this kernel computes in F32";
      }
    }
  }
  return std::nullopt;
}

constexpr CpuRow row(OpKind op, std::string_view name, MakeKernel make) {
  return {{op, name, refuse_unless_f32}, make};
}

constexpr std::array kRows = {
    row(OpKind::kLinear, "cpu:dnnl_matmul", make_linear),
    row(OpKind::kLayerNorm, "cpu:layer_norm", make_layer_norm),
    row(OpKind::kRmsNorm, "cpu:rms_norm", make_rms_norm),
    row(OpKind::kAdd, "cpu:add", make_add),
    row(OpKind::kMul, "cpu:mul", make_mul),
    row(OpKind::kModulate, "cpu:modulate", make_modulate),
    row(OpKind::kGeluTanh, "cpu:gelu_tanh", make_gelu_tanh),
    row(OpKind::kGeluErf, "cpu:gelu_erf", make_gelu_erf),
    row(OpKind::kSilu, "cpu:silu", make_silu),
    row(OpKind::kRelu, "cpu:relu", make_relu),
    row(OpKind::kAttention, "cpu:attention", make_attention),
    row(OpKind::kRope, "cpu:rope", make_rope),
    row(OpKind::kEmbed, "cpu:embed", make_embed),
    row(OpKind::kGatherRows, "cpu:gather_rows", make_gather_rows),
    row(OpKind::kScatterRows, "cpu:scatter_rows", make_scatter_rows),
    row(OpKind::kConcatRows, "cpu:concat_rows", make_concat_rows),
    row(OpKind::kPatchify, "cpu:patchify", make_patchify),
    row(OpKind::kPixelShuffle, "cpu:pixel_shuffle", make_pixel_shuffle),
    row(OpKind::kEulerStep, "cpu:euler_step", make_euler_step),
    row(OpKind::kTimeSinusoid, "cpu:time_sinusoid", make_time_sinusoid),
    row(OpKind::kRopeTable, "cpu:rope_table", make_rope_table),
    row(OpKind::kResizePositions, "cpu:resize_positions", make_resize_positions),
};

}  // namespace

std::span<const CpuRow> cpu_rows() {
  return kRows;
}

}  // namespace sinew::cpu
