// Between gemm.cu and the files that instantiate the bodies, one an epilogue or so: nvcc compiles
// them side by side.
#pragma once

#include "kernels/cuda/fused/gemm_sm90.cuh"

namespace sinew::cuda {

using GemmSm90 = void (*)(CUtensorMap, CUtensorMap, GemmShape, EpilogueOperands);

// The kernel of a tile width, or null.
template <GemmEpilogue kEpilogue>
GemmSm90 gemm_sm90_body(int columns);

template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kBias>(int columns);
template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kGeluTanh>(int columns);
template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kGeluErf>(int columns);
template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kResidual>(int columns);
template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kSwiGlu>(int columns);
template <>
GemmSm90 gemm_sm90_body<GemmEpilogue::kHeadRope>(int columns);

Status prepare_gemm_mma(GemmEpilogue epilogue);
Status enqueue_gemm_mma(const GemmArgs& args, const EpilogueOperands& epilogue, bool is_dependent,
                        Stream stream);

}  // namespace sinew::cuda
