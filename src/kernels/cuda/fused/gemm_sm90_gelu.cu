// Products with a bias and GELU (gemm_sm90.cuh).
#include "kernels/cuda/fused/gemm_bodies.h"

namespace sinew::cuda {

template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kGeluTanh>(int columns) {
  switch (columns) {
    case 64:
      return gemm_sm90<64, GemmEpilogue::kGeluTanh>;
    case 96:
      return gemm_sm90<96, GemmEpilogue::kGeluTanh>;
    case 128:
      return gemm_sm90<128, GemmEpilogue::kGeluTanh>;
    case 160:
      return gemm_sm90<160, GemmEpilogue::kGeluTanh>;
    case 192:
      return gemm_sm90<192, GemmEpilogue::kGeluTanh>;
    case 224:
      return gemm_sm90<224, GemmEpilogue::kGeluTanh>;
    default:
      return nullptr;
  }
}

template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kGeluErf>(int columns) {
  switch (columns) {
    case 64:
      return gemm_sm90<64, GemmEpilogue::kGeluErf>;
    case 128:
      return gemm_sm90<128, GemmEpilogue::kGeluErf>;
    default:
      return nullptr;
  }
}

}  // namespace sinew::cuda
