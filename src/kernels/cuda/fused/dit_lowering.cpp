// Binds the composite dit_stack (model/blocks/dit_stack.h) to the kernel of dit_stack.h: what it
// refuses, the parameters in its streams, and what a program keeps for it.
#include "base/check.h"
#include "base/error.h"
#include "kernels/cuda/fused/dit_stack.h"
#include "kernels/cuda/fused/lowering_parts.h"
#include "kernels/cuda/leaf/make.h"
#include "kernels/cuda/status.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace sinew::cuda {
namespace {

using ops::OpKind;

// Operands of one block, in the order of model::DitBlock behind x.
constexpr size_t kBlockOperands = 16;
constexpr size_t kContextKey = 2;
constexpr size_t kFirstWeight = 4;
constexpr size_t kFirstOwnKey = 6;  // k, v with their biases: operands 6 to 9
constexpr size_t kUpMatrix = 12;

Refusal refused(std::string reason) {
  return reason.empty() ? Refusal() : Refusal(std::move(reason));
}

Refusal refuse_shape(const ops::Plan& plan, std::span<const ops::Value> operands, size_t blocks) {
  const Shape& x = plan.info(operands[0]).shape;
  const auto width = static_cast<int>(row_length(x));
  const auto tokens = static_cast<int>(row_count(x));
  if (blocks == 0 || width == 0) {
    return "it has no blocks or no rows";
  }
  for (size_t b = 0; b < blocks; ++b) {
    const auto block = operands.subspan(1 + b * kBlockOperands, kBlockOperands);
    const int64_t hidden = plan.info(block[kUpMatrix]).shape.elements() / width;
    if (const Refusal refusal =
            refused(dit::refuse_stack(tokens, static_cast<int>(blocks), width,
                                      width / dit::kHeadDim, static_cast<int>(hidden)))) {
      return refusal;
    }
    if (block[kContextKey].valid()) {
      const int64_t keys = row_count(plan.info(block[kContextKey]).shape);
      if (const Refusal refusal = refused(dit::refuse_context(tokens, keys))) {
        return refusal;
      }
    }
  }
  return std::nullopt;
}

// Even blocks read a context in bf16, odd ones have keys and values of their own; every matrix and
// bias is a parameter. A context must be there before the first stack of the plan: it is known by
// its address, which the arena gives to others later.
Refusal refuse_operands(const ops::Plan& plan, std::span<const ops::Value> block, bool cross,
                        int32_t first_step) {
  if (const Refusal refusal = refuse_unless_once(plan, block.first(kContextKey))) {
    return refusal;
  }
  for (size_t i = kFirstWeight; i < kBlockOperands; ++i) {
    const bool is_unused = cross && i >= kFirstOwnKey && i < kFirstOwnKey + 4;
    const Refusal refusal = refuse_unless_weights(plan, block.subspan(i, is_unused ? 0 : 1));
    if (refusal) {
      return refusal;
    }
  }
  for (size_t i = kContextKey; i < kContextKey + 2; ++i) {
    if (block[i].valid() != cross) {
      return "blocks do not alternate between the context and the tokens themselves";
    }
    if (cross && plan.info(plan.root(block[i])).producer >= first_step) {
      return "a context is made after the first denoising step";
    }
    if (cross && plan.info(block[i]).dtype != DType::kBf16) {
      return "keys and values of the context are not stored in bf16";
    }
  }
  return std::nullopt;
}

Refusal refuse_attention(const ops::Plan& plan, const ops::CompositeCall& call) {
  for (const ops::Step* const step : steps_of(steps_of(plan, call), OpKind::kAttention)) {
    const auto& a = std::get<ops::AttentionAttributes>(step->attributes);
    const ops::AttentionAttributes expected{
        .heads = dit::kHeads,
        .kv_heads = dit::kHeads,
        .scale = 1.0F / std::sqrt(static_cast<float>(dit::kHeadDim))};
    if (!(a == expected)) {
      return fmt::format("its attention is not of {} full heads", dit::kHeads);
    }
  }
  return std::nullopt;
}

// The steps of one block, taken apart.
struct BlockSteps {
  const BoundStep* modulate = nullptr;
  const BoundStep* attention = nullptr;
  std::vector<const BoundStep*> linears;  // q, k and v of self blocks, out, up, down
};

std::vector<BlockSteps> blocks_of(std::span<const BoundStep> steps) {
  std::vector<BlockSteps> blocks;
  for (const BoundStep& step : steps) {
    if (step.op == OpKind::kModulate) {
      blocks.emplace_back().modulate = &step;
    } else if (step.op == OpKind::kAttention) {
      blocks.back().attention = &step;
    } else if (step.op == OpKind::kLinear) {
      blocks.back().linears.push_back(&step);
    }
  }
  return blocks;
}

// PackJob's sources are q, (k, v,) out, up, down.
Status pack_weights(const PackJob& job) {
  const bool cross = job.srcs.size() == 4;
  const auto at = [&](size_t i) { return job.srcs[i].data; };
  const size_t rest = cross ? 1 : 3;
  const dit::BlockMatrices matrices{.q_w = at(0),
                                    .k_w = cross ? nullptr : at(1),
                                    .v_w = cross ? nullptr : at(2),
                                    .out_w = at(rest),
                                    .up_w = at(rest + 1),
                                    .down_w = at(rest + 2)};
  return call_status(dit::pack_block(matrices, cross, static_cast<std::byte*>(job.dst), job.stream),
                     "packing a block of the diffusion transformer");
}

class DitStackKernel final : public Kernel {
 public:
  static Result<std::unique_ptr<Kernel>> make(std::span<const BoundStep> steps,
                                              const MakeContext& context) {
    auto kernel = std::make_unique<DitStackKernel>();
    SINEW_TRY(kernel->bind(steps, context));
    return std::unique_ptr<Kernel>(std::move(kernel));
  }

  Status prepare(Stream stream) override {
    for (size_t b = 0; b < biases_.size(); ++b) {
      SINEW_TRY(call_status(dit::fold_block(arguments_.weights[b], biases_[b], modulations_[b],
                                            static_cast<int>(b), vectors_, stream),
                            "folding norms into the diffusion transformer"));
    }
    return owns_exchange_ ? call_status(dit::prepare_workspace(arguments_.workspace,
                                                               arguments_.tokens, stream),
                                        "emptying the diffusion transformer's buffers")
                          : Status();
  }

  Status enqueue(Stream stream, std::byte* /*workspace*/) override {
    if (new_contexts_ > 0) {
      SINEW_TRY(call_status(dit::pack_contexts(contexts_, new_contexts_, stream),
                            "packing the diffusion transformer's context"));
    }
    return call_status(dit::run_stack(arguments_, stream), "launching the diffusion transformer");
  }

 private:
  Status bind(std::span<const BoundStep> steps, const MakeContext& context) {
    const std::vector<BlockSteps> blocks = blocks_of(steps);
    const BoundStep& norm = steps.front();
    SINEW_CHECK(norm.op == OpKind::kLayerNorm);
    arguments_.tokens = static_cast<int>(row_count(norm.srcs[0].shape));
    arguments_.blocks = static_cast<int>(blocks.size());
    arguments_.epsilon = std::get<ops::NormAttributes>(norm.attributes).epsilon;
    arguments_.x = static_cast<const float*>(norm.srcs[0].data);
    arguments_.out = static_cast<float*>(steps.back().dsts[0].data);
    SINEW_TRY(call_status(dit::check_device(arguments_.tokens),
                          "asking whether the diffusion transformer fits the device"));
    for (size_t b = 0; b < blocks.size(); ++b) {
      SINEW_TRY(bind_parameters(blocks[b], b, context));
      if (dit::is_cross(static_cast<int>(b))) {
        bind_context(*blocks[b].attention, b / 2, context.kept);
      }
    }
    // Modulations differ from step to step, the rest of what is kept does not.
    const auto vectors = context.kept.part(
        "dit_stack:vectors", key_of(modulations_[0].scale) ^ key_of(arguments_.weights[0]),
        dit::vector_floats(arguments_.blocks) * sizeof(float));
    vectors_ = reinterpret_cast<float*>(vectors.data);
    arguments_.vectors = vectors_;
    const auto exchange =
        context.kept.part("dit_stack:exchange", arguments_.tokens,
                          dit::workspace(dit::token_tiles(arguments_.tokens)).bytes);
    arguments_.workspace = exchange.data;
    owns_exchange_ = exchange.is_new;
    return {};
  }

  Status bind_parameters(const BlockSteps& block, size_t index, const MakeContext& context) {
    const bool cross = dit::is_cross(static_cast<int>(index));
    std::vector<ConstTensorView> matrices;
    std::vector<const float*> biases;
    for (const BoundStep* const linear : block.linears) {
      matrices.push_back(linear->srcs[1]);
      SINEW_ASSIGN(const float* const bias, vector_of(*linear, 2, context));
      biases.push_back(bias);
    }
    SINEW_CHECK(matrices.size() == (cross ? 4 : 6));
    SINEW_ASSIGN(const void* const packed,
                 context.weights.packed(matrices, {.name = "dit_stack:block",
                                                   .bytes = dit::block_bytes(cross),
                                                   .pack = &pack_weights}));
    arguments_.weights[index] = static_cast<const std::byte*>(packed);
    const size_t rest = cross ? 1 : 3;
    biases_.push_back({.q_b = biases[0],
                       .k_b = cross ? nullptr : biases[1],
                       .v_b = cross ? nullptr : biases[2],
                       .out_b = biases[rest],
                       .up_b = biases[rest + 1],
                       .down_b = biases[rest + 2]});
    modulations_.push_back({.scale = static_cast<const float*>(block.modulate->srcs[1].data),
                            .shift = static_cast<const float*>(block.modulate->srcs[2].data)});
    return {};
  }

  // The first denoising step of an observation packs what the others read too.
  void bind_context(const BoundStep& attention, size_t index, KeptMemory& kept) {
    const void* const k = attention.srcs[1].data;
    const auto tokens = static_cast<int>(row_count(attention.srcs[1].shape));
    const auto part = kept.part("dit_stack:context", key_of(k), dit::context_bytes(tokens));
    arguments_.context[index] = part.data;
    arguments_.context_tokens[index] = tokens;
    if (part.is_new) {
      contexts_.of[new_contexts_++] = {
          .k = k, .v = attention.srcs[2].data, .packed = part.data, .tokens = tokens};
    }
  }

  dit::StackArguments arguments_;
  dit::Contexts contexts_{};
  int new_contexts_ = 0;
  std::vector<dit::BlockBiases> biases_;
  std::vector<dit::BlockModulation> modulations_;
  float* vectors_ = nullptr;
  bool owns_exchange_ = false;
};

}  // namespace

Refusal refuse_dit_stack(const ops::Plan& plan, const ops::CompositeCall& call) {
  if (plan.device.compute_capability != 90 || !plan.device.has_own_code ||
      plan.device.multiprocessors < dit::kCtas ||
      plan.device.block_shared_bytes < dit::kSharedBytes) {
    return fmt::format(
        "it is made for {} or more multiprocessors of compute capability 9.0 with "
        "{} bytes of shared memory",
        dit::kCtas, dit::kSharedBytes);
  }
  if (const Refusal refusal = refuse_device(plan)) {
    return refusal;
  }
  const std::array rows{call.operands[0], call.results[0]};
  if (const Refusal refusal = refuse_unless_f32(plan, rows)) {
    return refusal;
  }
  const std::span<const ops::Value> operands(call.operands);
  const size_t blocks = (operands.size() - 1) / kBlockOperands;
  if (const Refusal refusal = refuse_shape(plan, operands, blocks)) {
    return refusal;
  }
  const auto first =
      std::find_if(plan.composites.begin(), plan.composites.end(),
                   [&](const ops::CompositeCall& other) { return other.name == call.name; });
  const int32_t first_stack = first->first_step;
  for (size_t b = 0; b < blocks; ++b) {
    const auto of_block = operands.subspan(1 + b * kBlockOperands, kBlockOperands);
    if (const Refusal refusal =
            refuse_operands(plan, of_block, dit::is_cross(static_cast<int>(b)), first_stack)) {
      return refusal;
    }
  }
  return refuse_attention(plan, call);
}

MadeKernel make_dit_stack(std::span<const BoundStep> steps, const MakeContext& context) {
  return DitStackKernel::make(steps, context);
}

}  // namespace sinew::cuda
