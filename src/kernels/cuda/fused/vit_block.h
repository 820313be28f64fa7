// Whole blocks of vision (model/blocks/vit_block.h) in seven kernels each: norm, q k v, attention,
// output and residual, norm, up and GELU, down and residual. Everything that products read is bf16,
// sums and the residual stream are f32. Where products can apply norms behind them (gemm.h), a
// block is five kernels, and only the first of a chain has one more.
#pragma once

#include "kernels/cuda/fused/attention.h"
#include "kernels/cuda/fused/gemm.h"
#include "kernels/cuda/fused/norm.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sinew::cuda {

struct VitBlockShape {
  int64_t images = 1;
  int64_t patches = 0;  // of an image
  int64_t width = 0;    // d
  int64_t heads = 1;
  int64_t ffn = 0;  // f
  float epsilon = 0;
};

struct VitBlockParameters {
  const float* norm1_w = nullptr;  // [d]
  const float* norm1_b = nullptr;
  const void* qkv_w = nullptr;      // [3d, d] bf16
  const float* qkv_b = nullptr;     // [3d]; with norms behind, with the norm's shift (norm_fold.h)
  const float* qkv_gain = nullptr;  // [3d]; with norms behind
  const void* out_w = nullptr;      // [d, d] bf16
  const float* out_b = nullptr;     // [d]
  const float* norm2_w = nullptr;   // [d]
  const float* norm2_b = nullptr;
  const void* up_w = nullptr;      // [f, d] bf16
  const float* up_b = nullptr;     // [f]; as qkv_b
  const float* up_gain = nullptr;  // [f]; with norms behind
  const void* down_w = nullptr;    // [d, f] bf16
  const float* down_b = nullptr;   // [d]
};

// All choices for one shape on one device.
struct VitBlockPlan {
  VitBlockShape shape;
  ops::DeviceCaps device;
  GemmTile qkv{}, out{}, up{}, down{};
  AttentionTile attention{};
  bool norms_behind = false;
  size_t workspace_bytes = 0;
};

Result<VitBlockPlan> plan_vit_block(const VitBlockShape& shape, const ops::DeviceCaps& device);
Status prepare_vit_block(const VitBlockPlan& plan);

// One block after the other. x, out [images * patches, d] f32; `workspace` [plan.workspace_bytes],
// 256-byte aligned.
Status enqueue_vit_blocks(const VitBlockPlan& plan, std::span<const VitBlockParameters> blocks,
                          const float* x, float* out, std::byte* workspace, Stream stream);

}  // namespace sinew::cuda
