// Products with gates, and with norms and rotations of heads (gemm_sm90.cuh).
#include "kernels/cuda/fused/gemm_bodies.h"

namespace sinew::cuda {

template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kSwiGlu>(int columns) {
  switch (columns) {
    case 96:
      return gemm_sm90<96, GemmEpilogue::kSwiGlu>;
    case 128:
      return gemm_sm90<128, GemmEpilogue::kSwiGlu>;
    case 192:
      return gemm_sm90<192, GemmEpilogue::kSwiGlu>;
    case 256:
      return gemm_sm90<256, GemmEpilogue::kSwiGlu>;
    default:
      return nullptr;
  }
}

template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kHeadRope>(int columns) {
  switch (columns) {
    case 128:
      return gemm_sm90<128, GemmEpilogue::kHeadRope>;
    default:
      return nullptr;
  }
}

}  // namespace sinew::cuda
