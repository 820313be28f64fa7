// The one CUDA type that host code without CUDA's headers needs: a stream is a pointer to this
// (cudaStream_t). Tables, refusals and makers so compile, and are tested, on machines without a
// toolkit.
#pragma once

struct CUstream_st;

namespace sinew::cuda {

using Stream = CUstream_st*;

}  // namespace sinew::cuda
