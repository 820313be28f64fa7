// Images: frames to pixels, pixels to patches, the projector's pixel shuffle, and the position
// table resized to the patch grid (spec/model.md sections 3.1, 3.2 and 4).
#include "base/check.h"
#include "base/error.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace sinew::cpu {
namespace {

constexpr int64_t kChannels = 3;

constexpr std::array<float, 256> make_levels() {
  std::array<float, 256> table{};
  for (size_t level = 0; level < table.size(); ++level) {
    table[level] = (static_cast<float>(level) - 127.5F) / 127.5F;
  }
  return table;
}

constexpr std::array<float, 256> kLevels = make_levels();

class NormalizeFrames final : public Kernel {
 public:
  NormalizeFrames(const uint8_t* frames, int64_t images, int64_t height, int64_t width,
                  const RealOutput& y)
      : frames_(frames), images_(images), height_(height), width_(width), y_(y) {}

  void run(const RunContext& context) override {
    parallel_for(context.pool, images_ * height_, images_ * kChannels * height_ * width_,
                 [&](int64_t i) { run_line(i / height_, i % height_); });
  }

 private:
  void run_line(int64_t image, int64_t line) const {
    const uint8_t* const from = frames_ + (image * height_ + line) * width_ * kChannels;
    for (int64_t channel = 0; channel < kChannels; ++channel) {
      const int64_t first = ((image * kChannels + channel) * height_ + line) * width_;
      for (int64_t x = 0; x < width_; x += kPieceElements) {
        const int64_t count = std::min(kPieceElements, width_ - x);
        const uint8_t* const levels = from + x * kChannels + channel;
        y_.fill(first + x, count, [&](float* to) {
          for (int64_t i = 0; i < count; ++i) {
            to[i] = kLevels[levels[i * kChannels]];
          }
        });
      }
    }
  }

  const uint8_t* frames_;  // [images, height, width, 3]
  int64_t images_;
  int64_t height_;
  int64_t width_;
  RealOutput y_;  // [images, 3, height, width]
};

class Patchify final : public Kernel {
 public:
  Patchify(const float* pixels, int64_t images, int64_t height, int64_t width, int64_t patch,
           const RealOutput& y)
      : pixels_(pixels), images_(images), height_(height), width_(width), patch_(patch), y_(y) {}

  void run(const RunContext& context) override {
    const int64_t rows = height_ / patch_;
    parallel_for(context.pool, images_ * rows, images_ * kChannels * height_ * width_,
                 [&](int64_t i) { run_row(i / rows, i % rows); });
  }

 private:
  // One row of patches of one image.
  void run_row(int64_t image, int64_t row) const {
    const int64_t columns = width_ / patch_;
    const int64_t plane = height_ * width_;
    const float* from = pixels_ + image * kChannels * plane;
    const int64_t patch_row = patch_ * kChannels;  // elements of one line of a patch
    int64_t first = (image * (height_ / patch_) + row) * columns * patch_ * patch_row;
    for (int64_t column = 0; column < columns; ++column) {
      for (int64_t a = 0; a < patch_; ++a, first += patch_row) {
        const float* line = from + (row * patch_ + a) * width_ + column * patch_;
        y_.fill(first, patch_row, [&](float* to) {
          for (int64_t b = 0; b < patch_; ++b) {
            for (int64_t c = 0; c < kChannels; ++c) {
              *to++ = line[c * plane + b];
            }
          }
        });
      }
    }
  }

  const float* pixels_;  // [images, 3, height, width]
  int64_t images_;
  int64_t height_;
  int64_t width_;
  int64_t patch_;
  RealOutput y_;  // [images * rows * columns, patch * patch * 3]
};

class PixelShuffle final : public Kernel {
 public:
  PixelShuffle(const float* x, int64_t images, int64_t rows, int64_t columns, int64_t d, float* y)
      : x_(x), images_(images), rows_(rows), columns_(columns), d_(d), y_(y) {}

  void run(const RunContext& context) override {
    const int64_t out_columns = columns_ / 2;
    const int64_t out_tokens = rows_ / 2 * out_columns;
    parallel_for(
        context.pool, images_ * out_tokens, images_ * rows_ * columns_ * d_, [&](int64_t i) {
          const int64_t row = i % out_tokens / out_columns;
          const int64_t column = i % out_columns;
          const float* from =
              x_ + (i / out_tokens * rows_ * columns_ + 2 * row * columns_ + 2 * column) * d_;
          float* to = y_ + i * 4 * d_;
          for (int64_t c = 0; c < d_; ++c) {
            to[4 * c] = from[c];                            // i = 0, j = 0
            to[4 * c + 1] = from[d_ + c];                   // i = 0, j = 1
            to[4 * c + 2] = from[columns_ * d_ + c];        // i = 1, j = 0
            to[4 * c + 3] = from[(columns_ + 1) * d_ + c];  // i = 1, j = 1
          }
        });
  }

 private:
  const float* x_;  // [images * rows * columns, d]
  int64_t images_;
  int64_t rows_;
  int64_t columns_;
  int64_t d_;
  float* y_;  // [images * rows / 2 * columns / 2, 4 d]
};

// Weights of the source positions [first, first + weights.size()) for one position of the result.
struct Taps {
  int64_t first = 0;
  std::vector<double> weights;
};

// Bilinear along one axis, align_corners = false, antialiased when the axis shrinks.
std::vector<Taps> resize_axis(int64_t source, int64_t result) {
  const double step = static_cast<double>(source) / static_cast<double>(result);
  const double radius = std::max(1.0, step);
  std::vector<Taps> axis(static_cast<size_t>(result));
  for (int64_t o = 0; o < result; ++o) {
    const double centre = step * (static_cast<double>(o) + 0.5);
    const auto low = std::max<int64_t>(0, static_cast<int64_t>(centre - radius + 0.5));
    const auto high = std::min(source, static_cast<int64_t>(centre + radius + 0.5));
    Taps& taps = axis[static_cast<size_t>(o)];
    taps.first = low;
    double sum = 0;
    for (int64_t i = low; i < high; ++i) {
      const double distance = (static_cast<double>(i) - centre + 0.5) / radius;
      taps.weights.push_back(std::max(0.0, 1.0 - std::abs(distance)));
      sum += taps.weights.back();
    }
    for (double& weight : taps.weights) {
      weight /= sum;
    }
  }
  return axis;
}

class ResizePositions final : public Kernel {
 public:
  ResizePositions(const float* table, int64_t side, int64_t d, int64_t rows, int64_t columns,
                  float* y)
      : table_(table),
        side_(side),
        d_(d),
        rows_(resize_axis(side, rows)),
        columns_(resize_axis(side, columns)),
        y_(y) {}

  void run(const RunContext& /*context*/) override {
    float* to = y_;
    for (const Taps& row : rows_) {
      for (const Taps& column : columns_) {
        for (int64_t c = 0; c < d_; ++c) {
          *to++ = static_cast<float>(sample(row, column, c));
        }
      }
    }
  }

 private:
  double sample(const Taps& row, const Taps& column, int64_t channel) const {
    double sum = 0;
    for (size_t i = 0; i < row.weights.size(); ++i) {
      const float* line = table_ + (row.first + static_cast<int64_t>(i)) * side_ * d_ + channel;
      double across = 0;
      for (size_t j = 0; j < column.weights.size(); ++j) {
        const int64_t position = column.first + static_cast<int64_t>(j);
        across += column.weights[j] * static_cast<double>(line[position * d_]);
      }
      sum += row.weights[i] * across;
    }
    return sum;
  }

  const float* table_;  // [side * side, d]
  int64_t side_;
  int64_t d_;
  std::vector<Taps> rows_;
  std::vector<Taps> columns_;
  float* y_;  // [rows * columns, d]
};

}  // namespace

MadeKernel make_normalize_frames(const BoundStep& step, WeightCache& /*weights*/) {
  const ConstTensorView& frames = step.srcs[0];
  SINEW_CHECK(frames.dtype == DType::kU8 && frames.shape.rank() == 4);
  SINEW_CHECK(frames.shape[3] == kChannels);
  SINEW_CHECK(step.dsts[0].shape.elements() == frames.shape.elements());
  return std::unique_ptr<Kernel>(
      std::make_unique<NormalizeFrames>(static_cast<const uint8_t*>(frames.data), frames.shape[0],
                                        frames.shape[1], frames.shape[2], real_output(step)));
}

MadeKernel make_patchify(const BoundStep& step, WeightCache& weights) {
  const int64_t patch = std::get<ops::GridAttributes>(step.attributes).patch;
  const Shape& shape = step.srcs[0].shape;
  SINEW_CHECK(shape.rank() == 4 && shape[1] == kChannels);
  SINEW_CHECK(patch > 0 && patch * kChannels <= kPieceElements);
  SINEW_CHECK(shape[2] % patch == 0 && shape[3] % patch == 0);
  SINEW_CHECK(step.dsts[0].shape.elements() == shape.elements());
  SINEW_ASSIGN(const float* pixels, real_source(step, 0, weights));
  return std::unique_ptr<Kernel>(
      std::make_unique<Patchify>(pixels, shape[0], shape[2], shape[3], patch, real_output(step)));
}

MadeKernel make_pixel_shuffle(const BoundStep& step, WeightCache& weights) {
  const auto& grid = std::get<ops::GridAttributes>(step.attributes);
  const Shape& shape = step.srcs[0].shape;
  SINEW_CHECK(grid.rows > 0 && grid.rows % 2 == 0 && grid.columns > 0 && grid.columns % 2 == 0);
  SINEW_CHECK(row_count(shape) % (grid.rows * grid.columns) == 0);
  SINEW_ASSIGN(const float* x, real_source(step, 0, weights));
  const int64_t images = row_count(shape) / (grid.rows * grid.columns);
  return std::unique_ptr<Kernel>(std::make_unique<PixelShuffle>(
      x, images, grid.rows, grid.columns, row_length(shape), real_result(step)));
}

MadeKernel make_resize_positions(const BoundStep& step, WeightCache& weights) {
  const auto& grid = std::get<ops::GridAttributes>(step.attributes);
  const Shape& shape = step.srcs[0].shape;
  SINEW_CHECK(grid.rows > 0 && grid.columns > 0 && grid.patch > 0);
  SINEW_CHECK(row_count(shape) == grid.patch * grid.patch);
  SINEW_ASSIGN(const float* table, real_source(step, 0, weights));
  return std::unique_ptr<Kernel>(std::make_unique<ResizePositions>(
      table, grid.patch, row_length(shape), grid.rows, grid.columns, real_result(step)));
}

}  // namespace sinew::cpu
