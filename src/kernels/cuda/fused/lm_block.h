// A whole lm_block (model/blocks/lm_block.h) in seven kernels: norm, q k v with head norms and
// rotation, attention, output and residual, norm, gate and up, down and residual.
#pragma once

#include "kernels/cuda/fused/attention.h"
#include "kernels/cuda/fused/gemm.h"
#include "kernels/cuda/fused/norm.h"

#include <cstddef>
#include <cstdint>

namespace sinew::cuda {

struct LmBlockShape {
  int64_t tokens = 0;  // t
  int64_t width = 0;   // d
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t head_dim = 128;
  int64_t ffn = 0;  // f
  float epsilon = 0;
};

struct LmBlockParameters {
  const float* input_norm = nullptr;  // [d]
  const void* qkv_w = nullptr;        // [(heads + 2 kv_heads) 128, d] bf16
  const float* q_norm = nullptr;      // [128]
  const float* k_norm = nullptr;      // [128]
  const void* out_w = nullptr;        // [d, heads 128] bf16
  const float* post_norm = nullptr;   // [d]
  const void* gate_up_w = nullptr;    // [2f, d] bf16: gate, then up
  const void* down_w = nullptr;       // [d, f] bf16
};

struct LmBlockPlan {
  LmBlockShape shape;
  ops::DeviceCaps device;
  GemmTile qkv{}, out{}, gate_up{}, down{};
  AttentionTile attention{};
  size_t workspace_bytes = 0;
};

Result<LmBlockPlan> plan_lm_block(const LmBlockShape& shape, const ops::DeviceCaps& device);
Status prepare_lm_block(const LmBlockPlan& plan);

struct LmBlockOperands {
  const float* x = nullptr;    // [t, d]
  const float* cos = nullptr;  // [t, 64]
  const float* sin = nullptr;  // [t, 64]
  float* out = nullptr;        // [t, d]
};

Status enqueue_lm_block(const LmBlockPlan& plan, const LmBlockParameters& parameters,
                        const LmBlockOperands& operands, std::byte* workspace, Stream stream);

}  // namespace sinew::cuda
