// Pillow's antialiased BICUBIC on u8 RGB, byte for byte (spec/preprocessing.md section 2.1): the
// snap to multiples of 28.
#include "base/check.h"
#include "preprocess/image/image.h"
#include "preprocess/image/resizer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

namespace sinew::preprocess {
namespace {

double cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1.0) {
    return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0;
  }
  if (x < 2.0) {
    return (((x - 5.0) * x + 8.0) * x - 4.0) * kA;
  }
  return 0.0;
}

int32_t to_fixed(double weight) {
  constexpr double kUnit = 1 << kFilterBits;
  return static_cast<int32_t>(weight < 0 ? -0.5 + weight * kUnit : 0.5 + weight * kUnit);
}

// The weights of a window are in units of 2^-22.
WindowTable<int32_t> filter_windows(int64_t from, int64_t to) {
  WindowTable<int32_t> table;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double filter_scale = std::max(scale, 1.0);
  const double support = 2.0 * filter_scale;
  const double inverse = 1.0 / filter_scale;
  std::vector<double> weights;
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t low = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t high = std::min(from, static_cast<int64_t>(centre + support + 0.5));
    weights.clear();
    double total = 0.0;
    for (int64_t j = 0; j < high - low; ++j) {
      weights.push_back(cubic((static_cast<double>(j + low) - centre + 0.5) * inverse));
      total += weights.back();
    }
    table.open(low);
    for (const double weight : weights) {
      table.weights.push_back(to_fixed(total == 0.0 ? weight : weight / total));
    }
    table.close();
  }
  return table;
}

// The weights of a window add up to one and their magnitudes to less than 1.4, so no sum of
// products leaves 32 bits.
class Bicubic final : public Resizer {
 public:
  Bicubic(Size from, Size to, const RowKernels& kernels)
      : kernels_(kernels),
        keeps_width_(from.width == to.width),
        keeps_height_(from.height == to.height),
        row_values_(to.width * kChannels) {
    if (!keeps_width_) {
      columns_ =
          make_pass(filter_windows(from.width, to.width), from.width, StepKind::kTaps8, kernels);
    }
    if (!keeps_height_) {
      rows_ = filter_windows(from.height, to.height);
    }
  }

  Range source_rows(Range rows) const override {
    return keeps_height_ ? rows : source_range(rows_, rows);
  }

  size_t scratch_bytes(int64_t rows) const override {
    if (keeps_width_) {
      return 0;
    }
    return columns_.scratch_bytes() +
           (keeps_height_ ? 0 : static_cast<size_t>(between_rows(rows) * between_row_bytes()));
  }

  // Horizontal first, always; an axis that does not change is not filtered.
  void run(const PixelRows& src, Range rows, const PixelSink& dst,
           std::byte* scratch) const override {
    if (keeps_height_) {
      run_horizontal(src, rows, dst, scratch);
    } else if (keeps_width_) {
      run_vertical(src, rows, dst);
    } else {
      const Range sources = source_rows(rows);
      ScratchPieces pieces(scratch);
      auto* between = pieces.take<uint8_t>(sources.count() * between_row_bytes());
      run_horizontal(src, sources, {between, between_row_bytes(), sources.begin}, pieces.rest());
      run_vertical({between, between_row_bytes(), sources.begin}, rows, dst);
    }
  }

 private:
  int64_t between_row_bytes() const {
    return static_cast<int64_t>(whole_lines(static_cast<size_t>(row_values_)));
  }

  // The most source rows that `rows` neighbouring rows need.
  int64_t between_rows(int64_t rows) const {
    const int64_t last = std::ssize(rows_.windows) - rows;
    int64_t most = 0;
    for (int64_t y = 0; y <= last; ++y) {
      most = std::max(most, source_rows({y, y + rows}).count());
    }
    return most;
  }

  void run_horizontal(const PixelRows& src, Range rows, const PixelSink& dst,
                      std::byte* scratch) const {
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      columns_.kernels->filter_columns(columns_.columns, src.row(y), dst.row(y), scratch);
    }
  }

  void run_vertical(const PixelRows& src, Range rows, const PixelSink& dst) const {
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      const auto& window = rows_.windows[static_cast<size_t>(y)];
      kernels_.filter_rows({src.row(window.first), src.row_bytes}, rows_.weights_of(window),
                           row_values_, dst.row(y));
    }
  }

  const RowKernels& kernels_;
  bool keeps_width_;
  bool keeps_height_;
  int64_t row_values_;
  ColumnPass<int32_t> columns_;  // empty if the width stays
  WindowTable<int32_t> rows_;    // empty if the height stays
};

}  // namespace

std::unique_ptr<Resizer> make_bicubic_resizer(Size from, Size to, const RowKernels& kernels) {
  SINEW_CHECK(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0);
  if (from == to) {
    return make_copy({0, to.width});
  }
  return std::make_unique<Bicubic>(from, to, kernels);
}

Image resize_bicubic(const ImageRef& src, int64_t height, int64_t width) {
  const Size to{height, width};
  return resize(src, to,
                *make_bicubic_resizer({src.height, src.width}, to, *row_kernels().front()));
}

}  // namespace sinew::preprocess
