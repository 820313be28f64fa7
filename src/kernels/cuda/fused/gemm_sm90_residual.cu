// Products with a bias and a residual sum (gemm_sm90.cuh).
#include "kernels/cuda/fused/gemm_bodies.h"

namespace sinew::cuda {

template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kResidual>(int columns) {
  switch (columns) {
    case 64:
      return gemm_sm90<64, GemmEpilogue::kResidual>;
    case 96:
      return gemm_sm90<96, GemmEpilogue::kResidual>;
    case 128:
      return gemm_sm90<128, GemmEpilogue::kResidual>;
    case 256:
      return gemm_sm90<256, GemmEpilogue::kResidual>;
    case 192:
      return gemm_sm90<192, GemmEpilogue::kResidual>;
    default:
      return nullptr;
  }
}

}  // namespace sinew::cuda
