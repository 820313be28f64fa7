// All blocks of the diffusion transformer (model/blocks/dit_block.h) in one launch, for few tokens
// on sm_90a: 128 CTAs that stay on the device and hand activations to each other through L2.
// dit_stack_layout.h says what lies where; docs/performance.md what it reaches.
#pragma once

#include "kernels/cuda/fused/dit_stack_layout.h"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace sinew::cuda::dit {

// One block's matrices on the device, bf16 as in the checkpoint.
struct BlockMatrices {
  const void *q_w, *k_w, *v_w;        // [d, d]; k and v of self blocks only
  const void *out_w, *up_w, *down_w;  // [d, d], [f, d], [d, f]
};

struct BlockBiases {
  const float *q_b, *k_b, *v_b;        // [d]; k and v of self blocks only
  const float *out_b, *up_b, *down_b;  // [d], [f], [d]
};

// Adaptive norm of one block at one denoising step.
struct BlockModulation {
  const float *scale, *shift;  // [d]
};

// Requests for weights that keep the memory busy without delaying what CTAs exchange; measured on
// an H100 (docs/performance.md).
constexpr int kStagesInFlight = 2;
constexpr int kCyclesPerCopy = 360;

struct StackArguments {
  const std::byte* weights[kMaxBlocks] = {};  // block_bytes of each block, from pack_block
  const float* vectors = nullptr;             // vector_floats(blocks) of this step, from fold_block
  const std::byte* context[kMaxBlocks / 2] = {};  // context_bytes(tokens) of cross block 2i
  int context_tokens[kMaxBlocks / 2] = {};
  const float* x = nullptr;  // [t, d]
  float* out = nullptr;      // [t, d]; may be x
  // workspace(token_tiles(t)).bytes, prepared once by prepare_workspace; serves one t, one stream
  std::byte* workspace = nullptr;
  int tokens = 0;                          // t
  int blocks = 0;                          // even
  int stages_in_flight = kStagesInFlight;  // weight stages (18 KB) a CTA asks for at a time
  int cycles_per_copy = kCyclesPerCopy;    // least time between its requests of 6 KB
  float epsilon = 0;
};

// Why the stack cannot run so, or an empty string.
std::string refuse_stack(int tokens, int blocks, int width, int heads, int hidden);

// Why a context of so many keys cannot be attended to, or an empty string.
std::string refuse_context(int tokens, int64_t keys);

// Whether all CTAs fit the current device at once: without that, they would wait for each other for
// ever. cudaErrorNotSupported if not.
cudaError_t check_device(int tokens);

// At load: a block's matrices into its stream, and its vectors for one denoising step from there.
cudaError_t pack_block(const BlockMatrices& w, bool cross, std::byte* packed, cudaStream_t stream);
cudaError_t fold_block(const std::byte* packed, const BlockBiases& biases, const BlockModulation& m,
                       int block, float* vectors, cudaStream_t stream);
cudaError_t prepare_workspace(std::byte* workspace, int tokens, cudaStream_t stream);

// Keys and values [tokens, d] of one cross block in bf16, and their place: context_bytes(tokens).
struct Context {
  const void *k, *v;
  std::byte* packed;
  int tokens;
};

struct Contexts {
  Context of[kMaxBlocks / 2];
};

// Once an observation: all cross blocks' keys and values to their places.
cudaError_t pack_contexts(const Contexts& contexts, int count, cudaStream_t stream);

// One denoising step's blocks.
cudaError_t run_stack(const StackArguments& arguments, cudaStream_t stream);

}  // namespace sinew::cuda::dit
