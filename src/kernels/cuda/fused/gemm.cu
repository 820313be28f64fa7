// Binding of products: maps for the copy engine, and launches. The bodies are instantiated in
// gemm_sm90_*.cu and gemm_mma.cu.
#include "kernels/cuda/fused/gemm.h"
#include "kernels/cuda/fused/gemm_bodies.h"

#include <cuda.h>
#include <cudaTypedefs.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <string>

namespace sinew::cuda {
namespace {

GemmSm90 sm90_body(GemmEpilogue epilogue, int columns) {
  switch (epilogue) {
    case GemmEpilogue::kBias:
      return gemm_sm90_body<GemmEpilogue::kBias>(columns);
    case GemmEpilogue::kGeluTanh:
      return gemm_sm90_body<GemmEpilogue::kGeluTanh>(columns);
    case GemmEpilogue::kGeluErf:
      return gemm_sm90_body<GemmEpilogue::kGeluErf>(columns);
    case GemmEpilogue::kResidual:
      return gemm_sm90_body<GemmEpilogue::kResidual>(columns);
    case GemmEpilogue::kSwiGlu:
      return gemm_sm90_body<GemmEpilogue::kSwiGlu>(columns);
    case GemmEpilogue::kHeadRope:
      return gemm_sm90_body<GemmEpilogue::kHeadRope>(columns);
  }
  return nullptr;
}

// cuTensorMapEncodeTiled, found at run time: programs link the CUDA runtime alone. Null where the
// driver is older than CUDA 12.0.
PFN_cuTensorMapEncodeTiled_v12000 encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                             12000, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) {
    return nullptr;
  }
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

template <size_t kRank>
Status encode(CUtensorMap* map, const void* data, const std::array<cuuint64_t, kRank>& extents,
              const std::array<cuuint64_t, kRank - 1>& strides,
              const std::array<cuuint32_t, kRank>& box) {
  const auto encode_tiled = encoder();
  if (encode_tiled == nullptr) {
    return Status(Code::kDevice,
                  "the driver has no cuTensorMapEncodeTiled: it is older than CUDA 12.0");
  }
  std::array<cuuint32_t, kRank> steps;
  steps.fill(1);
  const CUresult error =
      encode_tiled(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, static_cast<cuuint32_t>(kRank),
                   const_cast<void*>(data), extents.data(), strides.data(), box.data(),
                   steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                   CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (error != CUDA_SUCCESS) {
    return Status(Code::kDevice, "cuTensorMapEncodeTiled refused a tensor (" +
                                     std::to_string(static_cast<int>(error)) + ")");
  }
  return {};
}

Status encode_a(CUtensorMap* map, const GemmArgs& args, const GemmTile& tile) {
  return encode<2>(map, args.a, {cuuint64_t(args.k), cuuint64_t(args.m)}, {cuuint64_t(args.k) * 2},
                   {kGemmDepth, cuuint32_t(kGemmRows / tile.cluster_n)});
}

// w as [group, 2, 4, 2, k]: of 16 rows, thread t of a quad gets 4 t .. 4 t + 3 (gemm_epilogue.cuh);
// gated, as [group, 4, 4, 2, k]: gate and up row of 16 columns.
Status encode_w(CUtensorMap* map, const GemmArgs& args, const GemmTile& tile) {
  const cuuint64_t row = cuuint64_t(args.k) * 2;
  const int rows = tile.columns / tile.cluster_m;
  if (args.epilogue == GemmEpilogue::kSwiGlu) {
    return encode<5>(map, args.w, {cuuint64_t(args.k), 2, 4, 4, cuuint64_t(args.n / 32)},
                     {row * cuuint64_t(args.n / 2), row * 4, row, row * 16},
                     {kGemmDepth, 2, 4, 4, cuuint32_t(rows / 32)});
  }
  return encode<5>(map, args.w, {cuuint64_t(args.k), 2, 4, 2, cuuint64_t(args.n / 16)},
                   {row, row * 4, row * 2, row * 16}, {kGemmDepth, 2, 4, 2, cuuint32_t(rows / 16)});
}

int round_up(int64_t n, int multiple) {
  return static_cast<int>((n + multiple - 1) / multiple) * multiple;
}

GemmShape shape_of(const GemmArgs& args, const GemmTile& tile) {
  return {.row_tiles = round_up((args.m + kGemmRows - 1) / kGemmRows, tile.cluster_m),
          .column_tiles = round_up((args.n + tile.columns - 1) / tile.columns, tile.cluster_n),
          .depth_steps = static_cast<int>((args.k + kGemmDepth - 1) / kGemmDepth),
          .cluster_m = tile.cluster_m,
          .cluster_n = tile.cluster_n,
          .split_k = tile.split_k,
          .stages = tile.stages};
}

}  // namespace

Status prepare_gemm(GemmEpilogue epilogue, const GemmTile& tile, const ops::DeviceCaps& device) {
  if (gemm_body(device) == GemmBody::kMmaSync) {
    return prepare_gemm_mma(epilogue);
  }
  const GemmSm90 body = sm90_body(epilogue, tile.columns);
  if (body == nullptr) {
    return Status(Code::kInternal, "no product kernel has tiles of " +
                                       std::to_string(tile.columns) + " columns for this epilogue");
  }
  // A kernel's limit, not a launch's: tiles with other rings share the kernel.
  return prepare_kernel(body, "gemm_sm90", device.block_shared_bytes);
}

Status enqueue_gemm(const GemmArgs& args, const GemmTile& tile, const ops::DeviceCaps& device,
                    Stream stream) {
  SINEW_TRY(check_gemm(args));
  const bool is_normed = args.behind.statistics != nullptr || args.ahead.rows != nullptr;
  const int64_t parted = args.ahead.rows != nullptr ? args.n : 1;
  if (is_normed && !can_norm_behind(tile, parted, device)) {
    return Status(Code::kInternal, "a norm behind its product, which this body or tile cannot do");
  }
  const EpilogueOperands operands{.m = static_cast<int>(args.m),
                                  .n = static_cast<int>(args.n),
                                  .bias = args.bias,
                                  .residual = args.residual,
                                  .out = args.out,
                                  .head_rope = args.head_rope,
                                  .parts = args.parts,
                                  .k = static_cast<int>(args.k),
                                  .behind = args.behind,
                                  .ahead = args.ahead};
  if (gemm_body(device) == GemmBody::kMmaSync) {
    return enqueue_gemm_mma(args, operands, device.compute_capability >= 90, stream);
  }
  CUtensorMap a_map;
  CUtensorMap w_map;
  SINEW_TRY(encode_a(&a_map, args, tile));
  SINEW_TRY(encode_w(&w_map, args, tile));
  const GemmShape shape = shape_of(args, tile);
  const int cluster = tile.cluster_m * tile.cluster_n * tile.split_k;
  const int tiles = shape.row_tiles * shape.column_tiles * tile.split_k;
  // Blocks that split the depth finish one tile and leave; the others take the next one.
  const int resident =
      device.multiprocessors * gemm_blocks_per_sm(tile.columns) / cluster * cluster;
  const int blocks = tile.split_k > 1 ? tiles : std::min(tiles, resident);
  return launch(sm90_body(args.epilogue, tile.columns), "gemm_sm90",
                {.grid = dim3(static_cast<unsigned>(blocks)),
                 .block = dim3(kGemmThreads),
                 .shared_bytes = gemm_shared_bytes(tile),
                 .cluster = cluster,
                 .is_dependent = true},
                stream, a_map, w_map, shape, operands);
}

}  // namespace sinew::cuda
