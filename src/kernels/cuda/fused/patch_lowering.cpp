// Binds the composite patch_embedding: frames to rows of patches, then one product that begins with
// the positions.
#include "base/check.h"
#include "kernels/cuda/fused/gemm.h"
#include "kernels/cuda/fused/lowering_parts.h"
#include "kernels/cuda/fused/patch_rows.h"
#include "kernels/cuda/leaf/make.h"

#include <cstdint>

namespace sinew::cuda {
namespace {

using ops::OpKind;

// Numbers: outputs, depth, padded depth.
Status pack_padded(const PackJob& job) {
  return pad_rows(job.srcs[0].data, job.numbers[0], job.numbers[1], job.numbers[2], job.dst,
                  job.stream);
}

class PatchEmbeddingKernel final : public Kernel {
 public:
  PatchEmbeddingKernel(const PatchRowsArgs& rows, const GemmArgs& product, const GemmTile& tile,
                       const ops::DeviceCaps& device, const float* positions, float* residual)
      : rows_(rows),
        product_(product),
        tile_(tile),
        device_(device),
        positions_(positions),
        residual_(residual) {
    product_.residual = residual_ != nullptr ? residual_ : positions_;
  }

  size_t workspace_bytes() const override {
    return size_t{2} * static_cast<size_t>(product_.m * product_.k);
  }

  // Every view has the same positions, and the product a row of them for each of its own.
  Status prepare(Stream stream) override {
    return residual_ == nullptr ? Status()
                                : repeat(positions_, rows_.rows * rows_.columns * product_.n,
                                         rows_.images, residual_, stream);
  }

  Status enqueue(Stream stream, std::byte* workspace) override {
    rows_.out = workspace;
    product_.a = workspace;
    SINEW_TRY(enqueue_patch_rows(rows_, stream));
    return enqueue_gemm(product_, tile_, device_, stream);
  }

 private:
  PatchRowsArgs rows_;
  GemmArgs product_;
  GemmTile tile_;
  ops::DeviceCaps device_;
  const float* positions_;  // [p, d]
  float* residual_;         // [v*p, d], kept; nullptr: one view
};

}  // namespace

// Operands: frames, matrix, bias, positions.
Refusal refuse_patch_embedding(const ops::Plan& plan, const ops::CompositeCall& call) {
  if (const Refusal refusal = refuse_device(plan)) {
    return refusal;
  }
  if (const Refusal refusal = refuse_unless_weights(plan, std::span(call.operands).subspan(1, 2))) {
    return refusal;
  }
  if (const Refusal refusal = refuse_unless_f32(plan, call.results)) {
    return refusal;
  }
  if (const Refusal refusal = refuse_unless_once(plan, std::span(call.operands).subspan(3, 1))) {
    return refusal;
  }
  const Shape& x = plan.info(call.results[0]).shape;
  const int64_t views = plan.info(call.operands[0]).shape[0];
  if (plan.info(call.operands[3]).shape.elements() * views != x.elements()) {
    return "its positions are not one row a patch of a view";
  }
  const Status fits = check_gemm(
      {.epilogue = GemmEpilogue::kResidual, .m = row_count(x), .n = row_length(x), .k = 8});
  return fits.ok() ? Refusal() : Refusal(fits.message());
}

MadeKernel make_patch_embedding(std::span<const BoundStep> steps, const MakeContext& context) {
  SINEW_CHECK(steps.size() == 4 && steps[1].op == OpKind::kPatchify &&
              steps[2].op == OpKind::kLinear && steps[3].op == OpKind::kAdd);
  const auto& grid = std::get<ops::GridAttributes>(steps[1].attributes);
  const BoundStep& linear = steps[2];
  const PatchRowsArgs rows{.frames = static_cast<const uint8_t*>(steps[0].srcs[0].data),
                           .images = steps[0].srcs[0].shape[0],
                           .rows = grid.rows,
                           .columns = grid.columns,
                           .patch = grid.patch,
                           .is_dependent = context.device.compute_capability >= 90};
  GemmArgs product{.epilogue = GemmEpilogue::kResidual,
                   .m = rows.images * rows.rows * rows.columns,
                   .n = row_length(linear.dsts[0].shape),
                   .k = patch_depth(grid.patch)};
  const int64_t depth = row_length(linear.srcs[0].shape);
  SINEW_ASSIGN(product.w,
               context.weights.packed(std::span(&linear.srcs[1], 1),
                                      {.name = "patch_embedding",
                                       .bytes = static_cast<size_t>(2 * product.n * product.k),
                                       .numbers = {product.n, depth, product.k},
                                       .pack = &pack_padded}));
  SINEW_ASSIGN(product.bias, vector_of(linear, 2, context));
  product.out = steps[3].dsts[0].data;
  const auto* const positions = static_cast<const float*>(steps[3].srcs[1].data);
  float* residual = nullptr;
  if (rows.images > 1) {
    const auto kept = context.kept.part("patch_embedding:positions", key_of(positions),
                                        static_cast<size_t>(4 * product.m * product.n));
    residual = reinterpret_cast<float*>(kept.data);
  }
  const GemmTile tile =
      choose_gemm_tile(product.epilogue, product.m, product.n, product.k, context.device);
  SINEW_TRY(prepare_gemm(product.epilogue, tile, context.device));
  return std::unique_ptr<Kernel>(std::make_unique<PatchEmbeddingKernel>(
      rows, product, tile, context.device, positions, residual));
}

}  // namespace sinew::cuda
