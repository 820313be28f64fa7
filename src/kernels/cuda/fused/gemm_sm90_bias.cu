// Products with a bias (gemm_sm90.cuh).
#include "kernels/cuda/fused/gemm_bodies.h"

namespace sinew::cuda {

template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kBias>(int columns) {
  switch (columns) {
    case 64:
      return gemm_sm90<64, GemmEpilogue::kBias>;
    case 96:
      return gemm_sm90<96, GemmEpilogue::kBias>;
    case 128:
      return gemm_sm90<128, GemmEpilogue::kBias>;
    case 160:
      return gemm_sm90<160, GemmEpilogue::kBias>;
    case 192:
      return gemm_sm90<192, GemmEpilogue::kBias>;
    case 224:
      return gemm_sm90<224, GemmEpilogue::kBias>;
    case 256:
      return gemm_sm90<256, GemmEpilogue::kBias>;
    default:
      return nullptr;
  }
}

}  // namespace sinew::cuda
