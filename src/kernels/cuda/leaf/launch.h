// The launches behind the leaf lowerings: device code lies in leaf/*.cu, what binds steps to them
// in leaf/*.cpp. Formulas: ops/op.h. All memory is the device's, contiguous and row-major. Each
// returns the status of its launch; extents of 0 launch nothing.
#pragma once

#include "kernels/cuda/real.h"
#include "kernels/cuda/stream.h"
#include "ops/op.h"
#include "tensor/dtype.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>

namespace sinew::cuda {

// y[i] = f(x[i]), f = gelu_tanh, gelu_erf, silu or relu
Status launch_unary(ops::OpKind op, const RealSource& x, const RealResult& y, int64_t n,
                    Stream stream);

// y[i] = x[i] + a[i % row], x[i] * a[i % row], or x[i] * (1 + a[i % row]) + b[i % row]
Status launch_broadcast(ops::OpKind op, const RealSource& x, const RealSource& a,
                        const RealSource& b, const RealResult& y, int64_t n, int64_t row,
                        Stream stream);

// y = x + dt * velocity; the product is rounded first
Status launch_euler_step(const RealSource& x, const RealSource& velocity, float dt,
                         const RealResult& y, int64_t n, Stream stream);

// y = x in y's type
Status launch_convert(const RealSource& x, const RealResult& y, int64_t n, Stream stream);

// A parameter as it is stored (any float type, aligned to its own size) -> f32 or bf16, rounded to
// bf16 in both.
Status launch_convert_parameter(const void* x, DType stored, const RealResult& y, int64_t n,
                                Stream stream);

struct NormShape {
  int64_t rows = 0;
  int64_t width = 0;
  float epsilon = 0;
  bool is_centred = false;  // layer_norm
};

Status launch_norm(const RealSource& x, const RealSource& w, const RealSource& b,
                   const RealResult& y, const NormShape& shape, Stream stream);

// x [t, heads * e], cos and sin [t, e / 2]
Status launch_rope(const RealSource& x, const RealSource& cos, const RealSource& sin,
                   const RealResult& y, int64_t tokens, int64_t heads, int64_t head_dim,
                   Stream stream);

// y[i] = x[rows[i]], rows of `row_bytes` as they are
Status launch_gather_rows(const void* x, const int32_t* rows, void* y, int64_t count,
                          size_t row_bytes, Stream stream);

// y[i] = table[ids[i]]
Status launch_embed(const RealSource& table, const int32_t* ids, const RealResult& y, int64_t count,
                    int64_t width, Stream stream);

// y[rows[i]] = replacements[i]; the other rows of y keep what they have
Status launch_scatter_rows(const int32_t* rows, const RealSource& replacements, const RealResult& y,
                           int64_t count, int64_t width, Stream stream);

// Frames [images, area, 3] -> [images, 3, area].
Status launch_normalize_frames(const uint8_t* levels, const RealResult& y, int64_t images,
                               int64_t area, Stream stream);

// pixels [images, 3, height, width] -> [images * patches, patch * patch * 3]
Status launch_patchify(const RealSource& pixels, const RealResult& y, int64_t images,
                       int64_t height, int64_t width, int64_t patch, Stream stream);

// x [images * rows * columns, d] -> [images * rows / 2 * columns / 2, 4 d]
Status launch_pixel_shuffle(const RealSource& x, const RealResult& y, int64_t images,
                            const ops::GridAttributes& grid, int64_t d, Stream stream);

// table [patch * patch, d] -> [rows * columns, d]
Status launch_resize_positions(const RealSource& table, const RealResult& y,
                               const ops::GridAttributes& grid, int64_t d, Stream stream);

Status launch_time_sinusoid(const ops::SinusoidAttributes& attributes, const RealResult& y,
                            Stream stream);

Status launch_rope_table(const ops::RopeTableAttributes& attributes, const RealResult& cos,
                         const RealResult& sin, Stream stream);

// Extents of one segment of an attention.
struct AttentionShape {
  ops::AttentionAttributes attributes;
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t head_dim = 0;
  bool rounds_operands = false;  // queries, keys and values are rounded to bf16
};

constexpr int64_t kMaxHeadDim = 256;

// Lets the kernel for this shape have the shared memory it needs; once, before its launches.
Status prepare_attention(const AttentionShape& shape);

Status launch_attention(const RealSource& q, const RealSource& k, const RealSource& v,
                        const RealResult& y, const AttentionShape& shape, Stream stream);

struct ProductShape {
  int64_t rows = 0;
  int64_t outputs = 0;
  int64_t inputs = 0;
  bool weights_in_out = false;
};

// y = x w^T + bias or x w + bias, for shapes that cuBLASLt has no kernel for. Operands are used as
// they are, sums are f32.
Status launch_plain_linear(const RealSource& x, const RealSource& w, const RealSource& bias,
                           const RealResult& y, const ProductShape& shape, Stream stream);

}  // namespace sinew::cuda
