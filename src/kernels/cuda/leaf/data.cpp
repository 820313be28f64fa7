// Makers of the ops that move values: rows, image geometry, and the tables made from numbers alone.
#include "base/check.h"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/leaf/make.h"

namespace sinew::cuda {

MadeKernel make_embed(const BoundStep& step, const MakeContext& context) {
  // Rounded to bf16 in either type: the narrow one takes half the memory.
  SINEW_ASSIGN(const RealSource table, real_source(step, 0, context, DType::kBf16));
  const int64_t count = step.srcs[1].shape.elements();
  const int64_t width = row_length(step.srcs[0].shape);
  return made_kernel(
      [table, ids = index_source(step, 1), y = real_result(step), count, width](
          Stream stream, std::byte*) { return launch_embed(table, ids, y, count, width, stream); });
}

MadeKernel make_gather_rows(const BoundStep& step, const MakeContext& context) {
  const TensorView& y = step.dsts[0];
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context, y.dtype));
  SINEW_CHECK(x.is_bf16 == (y.dtype == DType::kBf16));
  const int64_t count = step.srcs[1].shape.elements();
  const size_t row_bytes =
      static_cast<size_t>(row_length(step.srcs[0].shape)) * dtype_bytes(y.dtype);
  return made_kernel(
      [x, rows = index_source(step, 1), to = y.data, count, row_bytes](Stream stream, std::byte*) {
        return launch_gather_rows(x.data, rows, to, count, row_bytes, stream);
      });
}

MadeKernel make_scatter_rows(const BoundStep& step, const MakeContext& context) {
  const int64_t elements = step.srcs[0].shape.elements();
  const int64_t width = row_length(step.srcs[0].shape);
  const int64_t count = step.srcs[1].shape.elements();
  SINEW_CHECK(step.srcs[2].shape.elements() == count * width);
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  SINEW_ASSIGN(const RealSource replacements, real_source(step, 2, context));
  return made_kernel([x, replacements, rows = index_source(step, 1), y = real_result(step),
                      elements, width, count](Stream stream, std::byte*) -> Status {
    SINEW_TRY(launch_convert(x, y, elements, stream));
    return launch_scatter_rows(rows, replacements, y, count, width, stream);
  });
}

MadeKernel make_concat_rows(const BoundStep& step, const MakeContext& context) {
  const int64_t first = step.srcs[0].shape.elements();
  const int64_t second = step.srcs[1].shape.elements();
  SINEW_CHECK(step.dsts[0].shape.elements() == first + second);
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  SINEW_ASSIGN(const RealSource y, real_source(step, 1, context));
  const RealResult upper = real_result(step);
  const RealResult lower{.data = static_cast<std::byte*>(upper.data) +
                                 static_cast<size_t>(first) * dtype_bytes(step.dsts[0].dtype),
                         .is_bf16 = upper.is_bf16};
  return made_kernel([x, y, upper, lower, first, second](Stream stream, std::byte*) -> Status {
    SINEW_TRY(launch_convert(x, upper, first, stream));
    return launch_convert(y, lower, second, stream);
  });
}

MadeKernel make_normalize_frames(const BoundStep& step, const MakeContext& /*context*/) {
  const ConstTensorView& frames = step.srcs[0];
  SINEW_CHECK(frames.dtype == DType::kU8 && frames.shape.rank() == 4 && frames.shape[3] == 3);
  return made_kernel([levels = static_cast<const uint8_t*>(frames.data), y = real_result(step),
                      images = frames.shape[0],
                      area = frames.shape[1] * frames.shape[2]](Stream stream, std::byte*) {
    return launch_normalize_frames(levels, y, images, area, stream);
  });
}

MadeKernel make_patchify(const BoundStep& step, const MakeContext& context) {
  const int64_t patch = std::get<ops::GridAttributes>(step.attributes).patch;
  const Shape shape = step.srcs[0].shape;
  SINEW_CHECK(shape.rank() == 4 && shape[1] == 3 && patch > 0);
  SINEW_CHECK(shape[2] % patch == 0 && shape[3] % patch == 0);
  SINEW_CHECK(step.dsts[0].shape.elements() == shape.elements());
  SINEW_ASSIGN(const RealSource pixels, real_source(step, 0, context));
  return made_kernel([pixels, y = real_result(step), shape, patch](Stream stream, std::byte*) {
    return launch_patchify(pixels, y, shape[0], shape[2], shape[3], patch, stream);
  });
}

MadeKernel make_pixel_shuffle(const BoundStep& step, const MakeContext& context) {
  const auto grid = std::get<ops::GridAttributes>(step.attributes);
  const Shape& shape = step.srcs[0].shape;
  SINEW_CHECK(grid.rows > 0 && grid.rows % 2 == 0 && grid.columns > 0 && grid.columns % 2 == 0);
  SINEW_CHECK(row_count(shape) % (grid.rows * grid.columns) == 0);
  SINEW_ASSIGN(const RealSource x, real_source(step, 0, context));
  const int64_t images = row_count(shape) / (grid.rows * grid.columns);
  return made_kernel(
      [x, y = real_result(step), images, grid, d = row_length(shape)](Stream stream, std::byte*) {
        return launch_pixel_shuffle(x, y, images, grid, d, stream);
      });
}

MadeKernel make_resize_positions(const BoundStep& step, const MakeContext& context) {
  const auto grid = std::get<ops::GridAttributes>(step.attributes);
  const Shape& shape = step.srcs[0].shape;
  SINEW_CHECK(grid.rows > 0 && grid.columns > 0 && grid.patch > 0);
  SINEW_CHECK(row_count(shape) == grid.patch * grid.patch);
  SINEW_ASSIGN(const RealSource table, real_source(step, 0, context));
  return made_kernel(
      [table, y = real_result(step), grid, d = row_length(shape)](Stream stream, std::byte*) {
        return launch_resize_positions(table, y, grid, d, stream);
      });
}

MadeKernel make_time_sinusoid(const BoundStep& step, const MakeContext& /*context*/) {
  const auto attributes = std::get<ops::SinusoidAttributes>(step.attributes);
  SINEW_CHECK(step.dsts[0].shape.elements() == 2 * attributes.half);
  SINEW_CHECK(attributes.form == ops::SinusoidForm::kSinCosExclusive || attributes.half > 1);
  return made_kernel([attributes, y = real_result(step)](Stream stream, std::byte*) {
    return launch_time_sinusoid(attributes, y, stream);
  });
}

MadeKernel make_rope_table(const BoundStep& step, const MakeContext& /*context*/) {
  const auto attributes = std::get<ops::RopeTableAttributes>(step.attributes);
  const int64_t elements = attributes.positions * (attributes.head_dim / 2);
  SINEW_CHECK(step.dsts.size() == 2 && step.dsts[0].shape.elements() == elements &&
              step.dsts[1].shape.elements() == elements);
  return made_kernel(
      [attributes, cos = real_result(step, 0), sin = real_result(step, 1)](
          Stream stream, std::byte*) { return launch_rope_table(attributes, cos, sin, stream); });
}

}  // namespace sinew::cuda
