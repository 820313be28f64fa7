// Launches of the body that every architecture from sm_80 runs (gemm_mma.cuh).
#include "kernels/cuda/fused/gemm_bodies.h"
#include "kernels/cuda/fused/gemm_mma.cuh"

namespace sinew::cuda {
namespace {

using GemmMma = void (*)(mma_gemm::Operands);

GemmMma body_of(GemmEpilogue epilogue) {
  switch (epilogue) {
    case GemmEpilogue::kBias:
      return gemm_mma<GemmEpilogue::kBias>;
    case GemmEpilogue::kGeluTanh:
      return gemm_mma<GemmEpilogue::kGeluTanh>;
    case GemmEpilogue::kGeluErf:
      return gemm_mma<GemmEpilogue::kGeluErf>;
    case GemmEpilogue::kResidual:
      return gemm_mma<GemmEpilogue::kResidual>;
    case GemmEpilogue::kSwiGlu:
      return gemm_mma<GemmEpilogue::kSwiGlu>;
    case GemmEpilogue::kHeadRope:
      return gemm_mma<GemmEpilogue::kHeadRope>;
  }
  return nullptr;
}

}  // namespace

Status prepare_gemm_mma(GemmEpilogue epilogue) {
  return prepare_kernel(body_of(epilogue), "gemm_mma", mma_gemm::kSharedBytes);
}

Status enqueue_gemm_mma(const GemmArgs& args, const EpilogueOperands& epilogue, bool is_dependent,
                        Stream stream) {
  const mma_gemm::Operands operands{.a = static_cast<const __nv_bfloat16*>(args.a),
                                    .w = static_cast<const __nv_bfloat16*>(args.w),
                                    .k = static_cast<int>(args.k),
                                    .epilogue = epilogue};
  const auto tiles = [](int64_t extent, int64_t tile) {
    return static_cast<unsigned>((extent + tile - 1) / tile);
  };
  return launch(body_of(args.epilogue), "gemm_mma",
                {.grid = dim3(tiles(args.m, mma_gemm::kRows), tiles(args.n, mma_gemm::kColumns)),
                 .block = dim3(mma_gemm::kThreads),
                 .shared_bytes = mma_gemm::kSharedBytes,
                 .is_dependent = is_dependent},
                stream, operands);
}

}  // namespace sinew::cuda
