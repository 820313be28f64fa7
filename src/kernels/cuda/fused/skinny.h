// Products of few rows with what stands before and behind them: out = after(before(x) w^T), for the
// small layers around the diffusion transformer, which are over before a tile of gemm.h is full.
// Weights are on their way before the preceding kernel is done. docs/performance.md has the times.
#pragma once

#include "kernels/cuda/stream.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace sinew::cuda {

enum class SkinnyActivation : uint8_t { kNone, kRelu, kSilu };

// All pointers are device memory, 16-byte aligned.
struct SkinnyArgs {
  int rows = 0;
  int n = 0;                // n % 16 == 0
  int k = 0;                // k % 32 == 0, at most kMaxDepth
  const void* x = nullptr;  // [rows, k] bf16, or f32: rounded to bf16 on its way
  bool x_is_f32 = false;
  // x (f32) is normalised over its row and modulated first: norm(x) (1 + scale) + shift.
  const float* scale = nullptr;  // [k]
  const float* shift = nullptr;  // [k]
  float epsilon = 0;
  const void* w =
      nullptr;  // [n, k] bf16 from pack_skinny; read before the preceding kernel is done
  const float* bias = nullptr;  // [n]; optional
  SkinnyActivation activation = SkinnyActivation::kNone;
  const float* addend = nullptr;  // [rows, n]; optional, behind the activation
  // An Euler step: out = actions + dt * y.
  const float* actions = nullptr;  // [rows, n]; optional
  float dt = 0;
  void* out = nullptr;  // [rows, n] bf16, or f32
  bool out_is_f32 = false;
  // Rows copied before those of the product: out is [leading_rows + rows, n].
  const float* leading = nullptr;  // [leading_rows, n]
  int leading_rows = 0;
  bool is_dependent = false;  // the device has programmatic dependent launch
};

constexpr int kSkinnyMaxRows = 56;
constexpr int kSkinnyMaxDepth = 1536;
constexpr int kSkinnyOutputs = 16;  // of a block
constexpr int kSkinnyWarps = 8;     // that share the depth
constexpr int kSkinnyRowPad = 32;   // bf16 behind a staged row: rows lie half the banks apart

// Why a product cannot run so, or an empty string. No CUDA needed.
std::string refuse_skinny(int64_t rows, int64_t n, int64_t k, bool x_is_f32,
                          const ops::DeviceCaps& device);

// Bytes of shared memory: partial sums, then the modulation, and x in bf16 where it does not come
// so.
size_t skinny_shared_bytes(int64_t rows, int64_t k, bool x_is_f32);

// 8-row tiles of the kernel that takes these rows.
int skinny_tiles(int64_t rows);

// Lets the kernel for these rows use its shared memory; once, before the first launch.
Status prepare_skinny(int rows, const ops::DeviceCaps& device);

Status enqueue_skinny(const SkinnyArgs& args, Stream stream);

// w bf16 [n, k], or [k, n] if it is stored [in, out], in the order in which warps read it: a tile
// of 16 outputs, a chunk of 32 depths, 8 outputs, a lane's 8 depths of one output.
Status pack_skinny(const void* w, int64_t n, int64_t k, bool is_in_out, void* packed,
                   Stream stream);

}  // namespace sinew::cuda
