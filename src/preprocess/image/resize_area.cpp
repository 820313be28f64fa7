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
#include <utility>
#include <vector>

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

// Round half to even and saturate. Adding and taking away 1.5 * 2^23 leaves no fraction bits, so
// the adder rounds as rint does, and unlike rint the compiler can vectorise it. |value| < 2^22.
uint8_t round_to_byte(float value) {
  constexpr float kNoFraction = 12582912.0F;
  return clamp_to_byte(static_cast<int32_t>((value + kNoFraction) - kNoFraction));
}

// Half the size on both axes: the rounded mean of four pixels.
class HalveBoth final : public Resizer {
 public:
  explicit HalveBoth(Size to) : to_(to) {}

  void run(const PixelRows& src, uint8_t* dst) override {
    for (int64_t y = 0; y < to_.height; ++y) {
      const uint8_t* upper = src.row(2 * y);
      const uint8_t* lower = src.row(2 * y + 1);
      for (int64_t x = 0; x < to_.width; ++x) {
        for (int64_t c = 0; c < kChannels; ++c) {
          const int64_t left = 2 * x * kChannels + c;
          const int64_t right = left + kChannels;
          const int32_t sum = upper[left] + upper[right] + lower[left] + lower[right];
          *dst++ = static_cast<uint8_t>((sum + 2) >> 2);
        }
      }
    }
  }

 private:
  Size to_;
};

// Any other pair of integer ratios: the mean of a block.
class BoxMean final : public Resizer {
 public:
  BoxMean(const Axis& y, const Axis& x)
      : to_{y.to, x.to},
        block_{y.ratio(), x.ratio()},
        factor_(static_cast<float>(1.0 / static_cast<double>(block_.height * block_.width))) {}

  void run(const PixelRows& src, uint8_t* dst) override {
    for (int64_t y = 0; y < to_.height; ++y) {
      for (int64_t x = 0; x < to_.width; ++x) {
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
          *dst++ = round_to_byte(static_cast<float>(s) * factor_);
        }
      }
    }
  }

 private:
  Size to_;
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
  WeightedMean(const Axis& y, const Axis& x)
      : row_values_(x.to * kChannels),
        rows_(cover(y)),
        columns_(cover(x)),
        narrow_(static_cast<size_t>(row_values_)),
        sum_(static_cast<size_t>(row_values_)) {}

  void run(const PixelRows& src, uint8_t* dst) override {
    int64_t narrowed = -1;  // the source row that narrow_ holds: neighbours often share one
    for (const auto& row : rows_.windows) {
      int64_t y = row.first;
      for (const float share : rows_.weights_of(row)) {
        if (y != narrowed) {
          narrow(src.row(y));
          narrowed = y;
        }
        add(share, y == row.first);
        ++y;
      }
      for (int64_t i = 0; i < row_values_; ++i) {
        dst[i] = round_to_byte(sum_[static_cast<size_t>(i)]);
      }
      dst += row_values_;
    }
  }

 private:
  void narrow(const uint8_t* src) {
    float* out = narrow_.data();
    for (const auto& column : columns_.windows) {
      const uint8_t* p = src + column.first * kChannels;
      float r = 0;
      float g = 0;
      float b = 0;
      for (const float share : columns_.weights_of(column)) {
        r += static_cast<float>(p[0]) * share;
        g += static_cast<float>(p[1]) * share;
        b += static_cast<float>(p[2]) * share;
        p += kChannels;
      }
      out[0] = r;
      out[1] = g;
      out[2] = b;
      out += kChannels;
    }
  }

  void add(float share, bool first) {
    const float* in = narrow_.data();
    float* sum = sum_.data();
    if (first) {
      for (int64_t i = 0; i < row_values_; ++i) {
        sum[i] = share * in[i];
      }
    } else {
      for (int64_t i = 0; i < row_values_; ++i) {
        sum[i] += share * in[i];
      }
    }
  }

  int64_t row_values_;
  WindowTable<float> rows_;
  WindowTable<float> columns_;
  std::vector<float> narrow_;  // [to.width, 3] one source row, narrowed
  std::vector<float> sum_;     // [to.width, 3]
};

// Section 1.2: two neighbours and their weights in units of 2^-11.
struct LinearTap {
  int64_t near = 0;
  int64_t far = 0;
  int32_t near_weight = 0;
  int32_t far_weight = 0;
};

std::vector<LinearTap> linear_taps(const Axis& axis) {
  constexpr float kUnit = 2048.0F;
  std::vector<LinearTap> taps(static_cast<size_t>(axis.to));
  for (int64_t d = 0; d < axis.to; ++d) {
    const double position = static_cast<double>(d);
    auto near = static_cast<int64_t>(std::floor(position * axis.scale));
    auto fraction =
        static_cast<float>((position + 1.0) - (static_cast<double>(near) + 1.0) * axis.inverse);
    fraction = fraction <= 0.0F ? 0.0F : fraction - std::floor(fraction);
    if (near >= axis.from - 1) {
      near = axis.from - 1;
      fraction = 0.0F;
    }
    taps[static_cast<size_t>(d)] = {near, std::min(near + 1, axis.from - 1),
                                    static_cast<int32_t>(std::lrint((1.0F - fraction) * kUnit)),
                                    static_cast<int32_t>(std::lrint(fraction * kUnit))};
  }
  return taps;
}

// Section 1.2: at least one axis grows.
class Linear final : public Resizer {
 public:
  Linear(const Axis& y, const Axis& x)
      : row_values_(x.to * kChannels),
        rows_(linear_taps(y)),
        columns_(linear_taps(x)),
        near_(static_cast<size_t>(row_values_)),
        far_(static_cast<size_t>(row_values_)) {}

  void run(const PixelRows& src, uint8_t* dst) override {
    int64_t near_row = -1;  // the source rows that near_ and far_ hold
    int64_t far_row = -1;
    for (const LinearTap& tap : rows_) {
      if (near_row != tap.near) {
        if (far_row == tap.near) {
          near_.swap(far_);
          std::swap(near_row, far_row);
        } else {
          stretch(src.row(tap.near), near_.data());
          near_row = tap.near;
        }
      }
      if (far_row != tap.far) {
        stretch(src.row(tap.far), far_.data());
        far_row = tap.far;
      }
      blend(tap, dst);
      dst += row_values_;
    }
  }

 private:
  void stretch(const uint8_t* src, int32_t* out) const {
    for (const LinearTap& tap : columns_) {
      const uint8_t* a = src + tap.near * kChannels;
      const uint8_t* b = src + tap.far * kChannels;
      for (int64_t c = 0; c < kChannels; ++c) {
        out[c] = a[c] * tap.near_weight + b[c] * tap.far_weight;
      }
      out += kChannels;
    }
  }

  void blend(const LinearTap& tap, uint8_t* dst) const {
    const int32_t* near = near_.data();
    const int32_t* far = far_.data();
    for (int64_t i = 0; i < row_values_; ++i) {
      const int32_t a = (tap.near_weight * (near[i] >> 4)) >> 16;
      const int32_t b = (tap.far_weight * (far[i] >> 4)) >> 16;
      dst[i] = clamp_to_byte((a + b + 2) >> 2);
    }
  }

  int64_t row_values_;
  std::vector<LinearTap> rows_;
  std::vector<LinearTap> columns_;
  std::vector<int32_t> near_;  // [to.width, 3] a source row, stretched, in units of 2^-11
  std::vector<int32_t> far_;
};

}  // namespace

std::unique_ptr<Resizer> make_area_resizer(Size from, Size to) {
  SINEW_CHECK(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0);
  if (from == to) {
    return make_copy(to);
  }
  const Axis y(from.height, to.height);
  const Axis x(from.width, to.width);
  if (y.scale < 1.0 || x.scale < 1.0) {
    return std::make_unique<Linear>(y, x);
  }
  if (!y.has_integer_ratio() || !x.has_integer_ratio()) {
    return std::make_unique<WeightedMean>(y, x);
  }
  if (y.ratio() == 2 && x.ratio() == 2) {
    return std::make_unique<HalveBoth>(to);
  }
  return std::make_unique<BoxMean>(y, x);
}

Image resize_area(const ImageRef& src, int64_t height, int64_t width) {
  const auto resizer = make_area_resizer({src.height, src.width}, {height, width});
  Image out{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * kChannels))};
  resizer->run(PixelRows(src), out.pixels.data());
  return out;
}

}  // namespace sinew::preprocess
