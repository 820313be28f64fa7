// Ops that move or turn whole rows: embedding look-up, gather, scatter, rotary embedding. Row
// numbers were checked when the request was prepared. A block a row.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

namespace sinew::cuda {
namespace {

constexpr int kThreads = 128;

template <class Unit>
__global__ void __launch_bounds__(kThreads)
    gather_rows(const Unit* x, const int32_t* rows, Unit* y, int64_t units) {
  const Unit* from = x + static_cast<int64_t>(rows[blockIdx.x]) * units;
  Unit* to = y + static_cast<int64_t>(blockIdx.x) * units;
  for (int64_t i = threadIdx.x; i < units; i += kThreads) {
    to[i] = from[i];
  }
}

__global__ void __launch_bounds__(kThreads)
    embed(RealSource table, const int32_t* ids, RealResult y, int64_t width) {
  const int64_t from = static_cast<int64_t>(ids[blockIdx.x]) * width;
  const int64_t to = static_cast<int64_t>(blockIdx.x) * width;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    store(y, to + i, load(table, from + i));
  }
}

__global__ void __launch_bounds__(kThreads)
    scatter_rows(const int32_t* rows, RealSource replacements, RealResult y, int64_t width) {
  const int64_t from = static_cast<int64_t>(blockIdx.x) * width;
  const int64_t to = static_cast<int64_t>(rows[blockIdx.x]) * width;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    store(y, to + i, load(replacements, from + i));
  }
}

// The pairs (x[i], x[half + i]) of a head turn by the angle whose cosine is cos[i].
__global__ void __launch_bounds__(kThreads)
    rope(RealSource x, RealSource cos, RealSource sin, RealResult y, int64_t heads, int64_t half) {
  const int64_t token = blockIdx.x;
  for (int64_t i = threadIdx.x; i < heads * half; i += kThreads) {
    const int64_t first = (token * heads + i / half) * 2 * half + i % half;
    const float c = load(cos, token * half + i % half);
    const float s = load(sin, token * half + i % half);
    const float a = load(x, first);
    const float b = load(x, first + half);
    store(y, first, a * c - b * s);
    store(y, first + half, b * c + a * s);
  }
}

template <class Unit>
Status run_gather(const void* x, const int32_t* rows, void* y, int64_t count, size_t row_bytes,
                  Stream stream) {
  gather_rows<<<static_cast<unsigned int>(count), kThreads, 0, stream>>>(
      static_cast<const Unit*>(x), rows, static_cast<Unit*>(y),
      static_cast<int64_t>(row_bytes / sizeof(Unit)));
  return launch_status("gather_rows");
}

}  // namespace

Status launch_gather_rows(const void* x, const int32_t* rows, void* y, int64_t count,
                          size_t row_bytes, Stream stream) {
  if (count == 0 || row_bytes == 0) {
    return {};
  }
  const size_t address_bits = reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y);
  if ((row_bytes | address_bits) % sizeof(uint4) == 0) {
    return run_gather<uint4>(x, rows, y, count, row_bytes, stream);
  }
  return run_gather<uint16_t>(x, rows, y, count, row_bytes, stream);
}

Status launch_embed(const RealSource& table, const int32_t* ids, const RealResult& y, int64_t count,
                    int64_t width, Stream stream) {
  if (count == 0 || width == 0) {
    return {};
  }
  embed<<<static_cast<unsigned int>(count), kThreads, 0, stream>>>(table, ids, y, width);
  return launch_status("embed");
}

Status launch_scatter_rows(const int32_t* rows, const RealSource& replacements, const RealResult& y,
                           int64_t count, int64_t width, Stream stream) {
  if (count == 0 || width == 0) {
    return {};
  }
  scatter_rows<<<static_cast<unsigned int>(count), kThreads, 0, stream>>>(rows, replacements, y,
                                                                          width);
  return launch_status("scatter_rows");
}

Status launch_rope(const RealSource& x, const RealSource& cos, const RealSource& sin,
                   const RealResult& y, int64_t tokens, int64_t heads, int64_t head_dim,
                   Stream stream) {
  if (tokens == 0 || heads * head_dim == 0) {
    return {};
  }
  rope<<<static_cast<unsigned int>(tokens), kThreads, 0, stream>>>(x, cos, sin, y, heads,
                                                                   head_dim / 2);
  return launch_status("rope");
}

}  // namespace sinew::cuda
