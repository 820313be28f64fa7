// Products with what follows them: out = epilogue(a w^T), a and w in bf16, sums in f32. How they
// are cut into tiles is decided when a plan is bound (choose_gemm_tile, no CUDA needed);
// enqueueing then only launches. Bodies: gemm_sm90.cuh (TMA and wgmma), gemm_mma.cu (mma.sync, from
// sm_80).
#pragma once

#include "kernels/cuda/stream.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sinew::cuda {

enum class GemmEpilogue : uint8_t {
  kBias,      // out bf16 = y + bias
  kGeluTanh,  // out bf16 = gelu_tanh(y + bias)
  kGeluErf,   // out bf16 = gelu_erf(y + bias)
  kResidual,  // out f32 = y + bias + residual
  kSwiGlu,    // w = [gate; up]: out bf16 [m, n/2] = silu(y_gate) * y_up
  kHeadRope,  // w = [q; k; v], heads of 128: out bf16 = rope(rms_norm(y)) of q and k heads, y of v
};

struct HeadRope {
  const float* q_norm = nullptr;  // [128]
  const float* k_norm = nullptr;  // [128]
  const float* cos = nullptr;     // [m, 64]
  const float* sin = nullptr;     // [m, 64]
  int64_t q_heads = 0;
  int64_t k_heads = 0;  // the rest of n are v heads
  float epsilon = 0;
};

// Results that lie apart: columns [i * columns, (i + 1) * columns) of a product, [m, columns] at
// out[i].
struct GemmParts {
  static constexpr int kMost = 32;
  int columns = 0;  // 0: one result; else a multiple of 16
  void* out[kMost] = {};
};

// Statistics of rows x, in parts of a row: {sum, sum of squares} of x - centre, f32
// [kMostRowParts, row_statistics_stride(m), 2].
constexpr int kMostRowParts = 24;

constexpr int64_t row_statistics_stride(int64_t m) {
  return (m + 127) / 128 * 128;
}

// A layer norm applied behind its product: a holds (x - centre) weight, and the sums become
// (sums - mean gain) / deviation + bias, from the statistics of x.
struct NormBehind {
  const float* statistics = nullptr;  // null: a is multiplied as it is
  int parts = 0;
  const float* gain = nullptr;  // [n], the sums of w weight over k
  float* centres = nullptr;     // [m]: the means are added
  float epsilon = 0;
};

// What a product before such a one writes beside its rows.
struct NormAhead {
  void* rows = nullptr;            // [m, n] bf16: (out - centre) weight; null: nothing follows
  const float* weight = nullptr;   // [n]; a parameter, as w
  const float* centres = nullptr;  // [m], near the means
  float* statistics = nullptr;     // in gemm_row_parts() parts
};

// All pointers are device memory, 16-byte aligned.
struct GemmArgs {
  GemmEpilogue epilogue = GemmEpilogue::kBias;
  int64_t m = 0;
  int64_t n = 0;            // rows of w; n % 16 == 0 (kSwiGlu 32, kHeadRope 128)
  int64_t k = 0;            // k % 8 == 0
  const void* a = nullptr;  // [m, k] bf16
  const void* w = nullptr;  // [n, k] bf16; a parameter: read before the preceding kernel is done
  const float* bias = nullptr;      // [n]; optional; a parameter, as w
  const float* residual = nullptr;  // [m, n]; optional; may be `out`
  void* out = nullptr;              // [m, n] or [m, n/2]
  HeadRope head_rope{};
  GemmParts parts{};    // kBias: in place of `out`
  NormBehind behind{};  // kBias, kGeluTanh and kGeluErf on the sm_90 body
  NormAhead ahead{};    // kResidual on the sm_90 body
};

// How a product is cut. Blocks of a cluster share what they read (`cluster_m` blocks below each
// other a tile of w, `cluster_n` beside each other one of a) and the depth (`split_k` blocks).
struct GemmTile {
  int columns = 0;  // of a block's tile; the rows are 128 (sm_90) or 64 (mma.sync)
  int cluster_m = 1;
  int cluster_n = 1;
  int split_k = 1;
  int stages = 0;  // of the shared-memory ring

  friend bool operator==(const GemmTile&, const GemmTile&) = default;
};

enum class GemmBody : uint8_t { kSm90, kMmaSync };

GemmBody gemm_body(const ops::DeviceCaps& device);

// The tile measured to be the fastest for the nearest number of rows with this matrix, or, where no
// number of rows was, the one that the cost model prefers.
GemmTile choose_gemm_tile(GemmEpilogue epilogue, int64_t m, int64_t n, int64_t k,
                          const ops::DeviceCaps& device);

// Whether a tile was measured for this matrix and as many rows of tiles: elsewhere nothing is known
// about who is faster, this product or a library's.
bool is_measured_gemm(GemmEpilogue epilogue, int64_t m, int64_t n, int64_t k,
                      const ops::DeviceCaps& device);

// What the sm_90 body can run: widths of tiles, whether a tile fits, and how deep its ring can be
// with one or two blocks on a multiprocessor.
std::span<const int> gemm_tile_columns(GemmEpilogue epilogue);
bool gemm_tile_fits(GemmEpilogue epilogue, const GemmTile& tile);
int gemm_most_stages(const GemmTile& tile, int blocks_per_sm);

// The number of parts in which rows of n values get their statistics.
int gemm_row_parts(const GemmTile& tile, int64_t n);

// Shared memory of a block of the sm_90 body.
size_t gemm_shared_bytes(const GemmTile& tile);

// What does not fit the body, or nothing.
Status check_gemm(const GemmArgs& args);

// Whether the norm of rows of n values that a product with this tile writes can be applied behind
// the next.
bool can_norm_behind(const GemmTile& before, int64_t n, const ops::DeviceCaps& device);

// Lets the body of this tile use its shared memory; once, before the first launch.
Status prepare_gemm(GemmEpilogue epilogue, const GemmTile& tile, const ops::DeviceCaps& device);

Status enqueue_gemm(const GemmArgs& args, const GemmTile& tile, const ops::DeviceCaps& device,
                    Stream stream);

}  // namespace sinew::cuda
