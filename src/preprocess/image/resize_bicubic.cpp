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

constexpr int kFractionBits = 22;
constexpr int32_t kHalf = 1 << (kFractionBits - 1);

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
  constexpr double kUnit = 1 << kFractionBits;
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
  Bicubic(Size from, Size to)
      : from_(from),
        to_(to),
        keeps_width_(from.width == to.width),
        keeps_height_(from.height == to.height) {
    if (!keeps_width_) {
      columns_ = filter_windows(from.width, to.width);
    }
    if (!keeps_height_) {
      rows_ = filter_windows(from.height, to.height);
    }
    if (!keeps_width_ && !keeps_height_) {
      between_.resize(static_cast<size_t>(from.height * to.width * kChannels));
    }
    if (!keeps_height_) {
      sum_.resize(static_cast<size_t>(to.width * kChannels));
    }
  }

  // Horizontal first, always; an axis that does not change is not filtered.
  void run(const PixelRows& src, uint8_t* dst) override {
    if (keeps_height_) {
      run_horizontal(src, dst);
    } else if (keeps_width_) {
      run_vertical(src, dst);
    } else {
      run_horizontal(src, between_.data());
      run_vertical(PixelRows(between_.data(), to_.width * kChannels), dst);
    }
  }

 private:
  void run_horizontal(const PixelRows& src, uint8_t* dst) const {
    for (int64_t y = 0; y < from_.height; ++y) {
      const uint8_t* row = src.row(y);
      for (const auto& window : columns_.windows) {
        const uint8_t* p = row + window.first * kChannels;
        int32_t r = kHalf;
        int32_t g = kHalf;
        int32_t b = kHalf;
        for (const int32_t weight : columns_.weights_of(window)) {
          r += p[0] * weight;
          g += p[1] * weight;
          b += p[2] * weight;
          p += kChannels;
        }
        dst[0] = clamp_to_byte(r >> kFractionBits);
        dst[1] = clamp_to_byte(g >> kFractionBits);
        dst[2] = clamp_to_byte(b >> kFractionBits);
        dst += kChannels;
      }
    }
  }

  void run_vertical(const PixelRows& src, uint8_t* dst) {
    const int64_t row_values = to_.width * kChannels;
    int32_t* sum = sum_.data();
    for (const auto& window : rows_.windows) {
      std::fill(sum_.begin(), sum_.end(), kHalf);
      int64_t y = window.first;
      for (const int32_t weight : rows_.weights_of(window)) {
        const uint8_t* row = src.row(y++);
        for (int64_t i = 0; i < row_values; ++i) {
          sum[i] += row[i] * weight;
        }
      }
      for (int64_t i = 0; i < row_values; ++i) {
        dst[i] = clamp_to_byte(sum[i] >> kFractionBits);
      }
      dst += row_values;
    }
  }

  Size from_;
  Size to_;
  bool keeps_width_;
  bool keeps_height_;
  WindowTable<int32_t> columns_;  // empty if the width stays
  WindowTable<int32_t> rows_;     // empty if the height stays
  std::vector<uint8_t> between_;  // [from.height, to.width, 3]
  std::vector<int32_t> sum_;      // [to.width, 3]
};

}  // namespace

std::unique_ptr<Resizer> make_bicubic_resizer(Size from, Size to) {
  SINEW_CHECK(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0);
  if (from == to) {
    return make_copy(to);
  }
  return std::make_unique<Bicubic>(from, to);
}

Image resize_bicubic(const ImageRef& src, int64_t height, int64_t width) {
  const auto resizer = make_bicubic_resizer({src.height, src.width}, {height, width});
  Image out{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * kChannels))};
  resizer->run(PixelRows(src), out.pixels.data());
  return out;
}

}  // namespace sinew::preprocess
