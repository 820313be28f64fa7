// Binding of folded products: one form holds matrix, gain and offset.
#include "kernels/cuda/fused/norm_fold.h"

#include "base/check.h"
#include "kernels/cuda/fused/workspace.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

#include <vector>

namespace sinew::cuda {
namespace {

struct Parts {
  std::byte* w;
  float* gain;
  float* offset;
  size_t bytes;
};

Parts cut(std::byte* base, int64_t n, int64_t k) {
  WorkspaceCutter cutter(base);
  auto* const w = static_cast<std::byte*>(cutter.take(n * k * 2));
  auto* const gain = static_cast<float*>(cutter.take(n * 4));
  auto* const offset = static_cast<float*>(cutter.take(n * 4));
  return {.w = w, .gain = gain, .offset = offset, .bytes = cutter.used_bytes()};
}

// Sources: matrices, biases, norm weight, norm shift.
Status pack(const PackJob& job) {
  const size_t matrices = (job.srcs.size() - 2) / 2;
  const int64_t k = job.srcs[2 * matrices].shape.elements();
  int64_t n = 0;
  for (const ConstTensorView& bias : job.srcs.subspan(matrices, matrices)) {
    n += bias.shape.elements();
  }
  const Parts to = cut(static_cast<std::byte*>(job.dst), n, k);
  int64_t first = 0;
  for (size_t i = 0; i < matrices; ++i) {
    const ConstTensorView& matrix = job.srcs[i];
    std::byte* const w = to.w + first * k * 2;
    SINEW_TRY(call_status(
        cudaMemcpyAsync(w, matrix.data, matrix.bytes(), cudaMemcpyDeviceToDevice, job.stream),
        "joining parameters"));
    const int64_t rows = job.srcs[matrices + i].shape.elements();
    SINEW_TRY(enqueue_norm_fold({.n = rows,
                                 .k = k,
                                 .w = w,
                                 .bias = job.srcs[matrices + i].data,
                                 .weight = job.srcs[2 * matrices].data,
                                 .shift = job.srcs[2 * matrices + 1].data,
                                 .gain = to.gain + first,
                                 .offset = to.offset + first},
                                job.stream));
    first += rows;
  }
  return {};
}

}  // namespace

Result<FoldedProduct> folded_product(WeightStore& weights,
                                     std::span<const ConstTensorView> matrices,
                                     std::span<const ConstTensorView> biases,
                                     const ConstTensorView& norm_weight,
                                     const ConstTensorView& norm_shift) {
  SINEW_CHECK(matrices.size() == biases.size());
  std::vector<ConstTensorView> sources(matrices.begin(), matrices.end());
  sources.insert(sources.end(), biases.begin(), biases.end());
  sources.push_back(norm_weight);
  sources.push_back(norm_shift);
  int64_t n = 0;
  for (const ConstTensorView& bias : biases) {
    n += bias.shape.elements();
  }
  const int64_t k = norm_weight.shape.elements();
  SINEW_ASSIGN(const void* const packed, weights.packed(sources, {.name = "norm_fold",
                                                                  .bytes = cut(nullptr, n, k).bytes,
                                                                  .pack = &pack}));
  const Parts parts = cut(const_cast<std::byte*>(static_cast<const std::byte*>(packed)), n, k);
  return FoldedProduct{.w = parts.w, .gain = parts.gain, .offset = parts.offset};
}

}  // namespace sinew::cuda
