// OpenCV's INTER_AREA on u8 RGB, byte for byte (spec/preprocessing.md section 1.1 and 1.2): the
// first and third step of the evaluation transform.
#include "base/check.h"
#include "preprocess/image/image.h"
#include "preprocess/image/resizer.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace sinew::preprocess {
namespace {

// One axis of a resize, in the roundings that OpenCV uses: `scale` is the inverse of `inverse`, not
// source / destination.
struct Axis {
  int64_t from;
  int64_t to;
  double inverse;
  double scale;

  Axis(int64_t source, int64_t destination)
      : from(source),
        to(destination),
        inverse(static_cast<double>(destination) / static_cast<double>(source)),
        scale(1.0 / inverse) {}

  int64_t ratio() const { return std::lrint(scale); }

  bool has_integer_ratio() const {
    return std::abs(scale - static_cast<double>(ratio())) < DBL_EPSILON;
  }
};

// Half the size on both axes: the rounded mean of four pixels.
class HalveBoth final : public Resizer {
 public:
  explicit HalveBoth(Range columns) : columns_(columns) {}

  Range source_rows(Range rows) const override { return {2 * rows.begin, 2 * rows.end}; }

  size_t scratch_bytes(int64_t /*rows*/) const override { return 0; }

  void run(const PixelRows& src, Range rows, const PixelSink& dst,
           std::byte* /*scratch*/) const override {
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      const uint8_t* upper = src.row(2 * y) + 2 * columns_.begin * kChannels;
      const uint8_t* lower = src.row(2 * y + 1) + 2 * columns_.begin * kChannels;
      uint8_t* out = dst.row(y);
      for (int64_t x = 0; x < columns_.count(); ++x) {
        for (int64_t c = 0; c < kChannels; ++c) {
          const int64_t left = 2 * x * kChannels + c;
          const int64_t right = left + kChannels;
          const int32_t sum = upper[left] + upper[right] + lower[left] + lower[right];
          *out++ = static_cast<uint8_t>((sum + 2) >> 2);
        }
      }
    }
  }

 private:
  Range columns_;
};

// Any other pair of integer ratios: the mean of a block.
class BoxMean final : public Resizer {
 public:
  BoxMean(const Axis& y, const Axis& x, Range columns)
      : columns_(columns),
        block_{y.ratio(), x.ratio()},
        factor_(static_cast<float>(1.0 / static_cast<double>(block_.height * block_.width))) {}

  Range source_rows(Range rows) const override {
    return {rows.begin * block_.height, rows.end * block_.height};
  }

  size_t scratch_bytes(int64_t /*rows*/) const override { return 0; }

  void run(const PixelRows& src, Range rows, const PixelSink& dst,
           std::byte* /*scratch*/) const override {
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      uint8_t* out = dst.row(y);
      for (int64_t x = columns_.begin; x < columns_.end; ++x) {
        std::array<int64_t, kChannels> sum{};
        for (int64_t by = 0; by < block_.height; ++by) {
          const uint8_t* p = src.row(y * block_.height + by) + x * block_.width * kChannels;
          for (int64_t bx = 0; bx < block_.width; ++bx, p += kChannels) {
            sum[0] += p[0];
            sum[1] += p[1];
            sum[2] += p[2];
          }
        }
        for (const int64_t s : sum) {
          *out++ = round_to_byte(static_cast<float>(s) * factor_);
        }
      }
    }
  }

 private:
  Range columns_;
  Size block_;
  float factor_;
};

// Section 1.1 (b): the source cells that a destination cell covers, with their shares.
WindowTable<float> cover(const Axis& axis) {
  constexpr double kNegligible = 1e-3;
  WindowTable<float> table;
  const auto source_size = static_cast<double>(axis.from);
  for (int64_t d = 0; d < axis.to; ++d) {
    const double begin = static_cast<double>(d) * axis.scale;
    const double end = begin + axis.scale;
    const double cell = std::min(axis.scale, source_size - begin);
    const double last = std::min(std::floor(end), source_size - 1);
    const double first = std::min(std::ceil(begin), last);
    const bool has_head = first - begin > kNegligible;
    table.open(static_cast<int64_t>(first) - (has_head ? 1 : 0));
    if (has_head) {
      table.weights.push_back(static_cast<float>((first - begin) / cell));
    }
    table.weights.insert(table.weights.end(), static_cast<size_t>(last - first),
                         static_cast<float>(1.0 / cell));
    if (end - last > kNegligible) {
      table.weights.push_back(static_cast<float>(std::min(std::min(end - last, 1.0), cell) / cell));
    }
    table.close();
  }
  return table;
}

// Section 1.1 (b): shrinking by any ratio, in f32. The order of every sum is part of the
// definition.
class WeightedMean final : public Resizer {
 public:
  WeightedMean(const Axis& y, const Axis& x, Range columns, const RowKernels& kernels)
      : kernels_(kernels), rows_(cover(y)) {
    WindowTable<float> table = cover(x);
    table.keep(columns.begin, columns.count());
    columns_ = make_pass(std::move(table), x.from, kernels);
    row_floats_ = columns_.values() + kRowPadding;
  }

  Range source_rows(Range rows) const override { return source_range(rows_, rows); }

  size_t scratch_bytes(int64_t /*rows*/) const override {
    return (kMeanRows + 1) * whole_lines(static_cast<size_t>(row_floats_) * sizeof(float)) +
           columns_.scratch_bytes();
  }

  void run(const PixelRows& src, Range rows, const PixelSink& dst,
           std::byte* scratch) const override {
    ScratchPieces pieces(scratch);
    Narrowed narrowed;
    for (float*& row : narrowed.rows) {
      row = pieces.take<float>(row_floats_);
    }
    narrowed.source.fill(-1);
    auto* sum = pieces.take<float>(row_floats_);
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      const auto& window = rows_.windows[static_cast<size_t>(y)];
      const auto shares = rows_.weights_of(window);
      const float* before = nullptr;
      for (size_t done = 0; done < shares.size(); done += kMeanRows) {
        const size_t count = std::min<size_t>(kMeanRows, shares.size() - done);
        const bool is_last = done + count == shares.size();
        const int64_t first = window.first + static_cast<int64_t>(done);
        std::array<const float*, kMeanRows> group{};
        for (size_t i = 0; i < count; ++i) {
          group[i] = narrow(src, first + static_cast<int64_t>(i), narrowed, pieces.rest());
        }
        kernels_.mean({.rows = std::span(group).first(count),
                       .shares = shares.data() + done,
                       .before = before,
                       .values = columns_.values(),
                       .sum = is_last ? nullptr : sum,
                       .dst = dst.row(y)});
        before = sum;
      }
    }
  }

 private:
  // The source rows narrowed last: neighbours often share one.
  struct Narrowed {
    std::array<float*, kMeanRows> rows{};
    std::array<int64_t, kMeanRows> source{};
  };

  const float* narrow(const PixelRows& src, int64_t y, Narrowed& narrowed,
                      std::byte* scratch) const {
    const auto slot = static_cast<size_t>(y % kMeanRows);
    if (narrowed.source[slot] != y) {
      columns_.kernels->narrow(columns_.columns, src.row(y), narrowed.rows[slot], scratch);
      narrowed.source[slot] = y;
    }
    return narrowed.rows[slot];
  }

  const RowKernels& kernels_;
  WindowTable<float> rows_;
  ColumnPass<float> columns_;
  int64_t row_floats_ = 0;
};

// Section 1.2: two neighbours, or the last pixel alone, and their weights in units of 2^-11.
WindowTable<int32_t> linear_windows(const Axis& axis) {
  constexpr float kUnit = 2048.0F;
  WindowTable<int32_t> table;
  for (int64_t d = 0; d < axis.to; ++d) {
    const double position = static_cast<double>(d);
    auto near = static_cast<int64_t>(std::floor(position * axis.scale));
    auto fraction =
        static_cast<float>((position + 1.0) - (static_cast<double>(near) + 1.0) * axis.inverse);
    fraction = fraction <= 0.0F ? 0.0F : fraction - std::floor(fraction);
    const bool is_last = near >= axis.from - 1;
    if (is_last) {
      near = axis.from - 1;
      fraction = 0.0F;
    }
    table.open(near);
    table.weights.push_back(static_cast<int32_t>(std::lrint((1.0F - fraction) * kUnit)));
    if (!is_last) {
      table.weights.push_back(static_cast<int32_t>(std::lrint(fraction * kUnit)));
    }
    table.close();
  }
  return table;
}

// Section 1.2: at least one axis grows.
class Linear final : public Resizer {
 public:
  Linear(const Axis& y, const Axis& x, Range columns, const RowKernels& kernels)
      : kernels_(kernels), rows_(linear_windows(y)) {
    WindowTable<int32_t> table = linear_windows(x);
    table.keep(columns.begin, columns.count());
    columns_ = make_pass(std::move(table), x.from, StepKind::kTaps16, kernels);
    row_words_ = columns_.values() + kRowPadding;
  }

  Range source_rows(Range rows) const override { return source_range(rows_, rows); }

  size_t scratch_bytes(int64_t /*rows*/) const override {
    return 2 * whole_lines(static_cast<size_t>(row_words_) * sizeof(int16_t)) +
           columns_.scratch_bytes();
  }

  void run(const PixelRows& src, Range rows, const PixelSink& dst,
           std::byte* scratch) const override {
    ScratchPieces pieces(scratch);
    // A source row in units of 2^-7; neighbours are in different places.
    const std::array<int16_t*, 2> stretched = {pieces.take<int16_t>(row_words_),
                                               pieces.take<int16_t>(row_words_)};
    std::array<int64_t, 2> source = {-1, -1};
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      const auto& window = rows_.windows[static_cast<size_t>(y)];
      const auto weights = rows_.weights_of(window);
      for (int64_t row = window.first; row < window.end(); ++row) {
        const auto slot = static_cast<size_t>(row % 2);
        if (source[slot] != row) {
          columns_.kernels->stretch(columns_.columns, src.row(row), stretched[slot], pieces.rest());
          source[slot] = row;
        }
      }
      const int16_t* near = stretched[static_cast<size_t>(window.first % 2)];
      const int16_t* far = stretched[static_cast<size_t>((window.end() - 1) % 2)];
      const std::array<int32_t, 2> both = {weights.front(), weights.size() > 1 ? weights[1] : 0};
      kernels_.blend(near, far, both, columns_.values(), dst.row(y));
    }
  }

 private:
  const RowKernels& kernels_;
  WindowTable<int32_t> rows_;
  ColumnPass<int32_t> columns_;
  int64_t row_words_ = 0;
};

}  // namespace

std::unique_ptr<Resizer> make_area_resizer(Size from, Size to, Range columns,
                                           const RowKernels& kernels) {
  SINEW_CHECK(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0);
  SINEW_CHECK(columns.begin >= 0 && columns.count() > 0 && columns.end <= to.width);
  if (from == to) {
    return make_copy(columns);
  }
  const Axis y(from.height, to.height);
  const Axis x(from.width, to.width);
  if (y.scale < 1.0 || x.scale < 1.0) {
    return std::make_unique<Linear>(y, x, columns, kernels);
  }
  if (!y.has_integer_ratio() || !x.has_integer_ratio()) {
    return std::make_unique<WeightedMean>(y, x, columns, kernels);
  }
  if (y.ratio() == 2 && x.ratio() == 2) {
    return std::make_unique<HalveBoth>(columns);
  }
  return std::make_unique<BoxMean>(y, x, columns);
}

Image resize_area(const ImageRef& src, int64_t height, int64_t width) {
  const Size to{height, width};
  return resize(
      src, to, *make_area_resizer({src.height, src.width}, to, {0, width}, *row_kernels().front()));
}

}  // namespace sinew::preprocess
