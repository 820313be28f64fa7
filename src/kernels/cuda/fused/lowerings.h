// What table.cpp names: composites that are run whole, and products with their epilogue. Each row
// says what it refuses.
#pragma once

#include "kernels/cuda/kernel.h"

#include <optional>
#include <string>

namespace sinew::cuda {

using Refusal = std::optional<std::string>;
using MadeKernel = Result<std::unique_ptr<Kernel>>;

// patch_lowering.cpp
Refusal refuse_patch_embedding(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_patch_embedding(std::span<const BoundStep> steps, const MakeContext& context);

// vit_stack, and a vit_block of one whose sites are kept
Refusal refuse_vit_blocks(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_vit_blocks(std::span<const BoundStep> steps, const MakeContext& context);

// projector_lowering.cpp
Refusal refuse_vision_projector(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_vision_projector(std::span<const BoundStep> steps, const MakeContext& context);

Refusal refuse_lm_block(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_lm_block(std::span<const BoundStep> steps, const MakeContext& context);

// dit_lowering.cpp: all blocks of a denoising step in one launch
Refusal refuse_dit_stack(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_dit_stack(std::span<const BoundStep> steps, const MakeContext& context);

// skinny_lowering.cpp: the small layers around the diffusion transformer
Refusal refuse_action_tokens(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_action_tokens(std::span<const BoundStep> steps, const MakeContext& context);
Refusal refuse_action_update(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_action_update(std::span<const BoundStep> steps, const MakeContext& context);
Refusal refuse_embodiment_mlp(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_embodiment_mlp(std::span<const BoundStep> steps, const MakeContext& context);

// Keys and values of all cross-attention blocks as one product.
Refusal refuse_cross_context(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_cross_context(std::span<const BoundStep> steps, const MakeContext& context);

// linear_activation, linear_residual, swiglu: where a tile was measured for the shape
Refusal refuse_fused_linear(const ops::Plan& plan, const ops::CompositeCall& call);
MadeKernel make_fused_linear(std::span<const BoundStep> steps, const MakeContext& context);

}  // namespace sinew::cuda
