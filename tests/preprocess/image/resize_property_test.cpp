// Every resize, with every kind of inner loop that this processor runs, against the formulas of
// spec/preprocessing.md written down once more as plainly as they can be: pixel by pixel, without
// tables, in the order in which the specification sums.
#include "base/philox.h"
#include "preprocess/image/frame_transform.h"
#include "preprocess/image/image.h"
#include "preprocess/image/resizer.h"
#include "preprocess/image/row_kernels.h"
#include "tensor/buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sinew::preprocess {
namespace {

uint8_t saturated(int64_t value) {
  return static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255));
}

struct Tap {
  int64_t source = 0;
  float share = 0;
};

// ---- the formulas ----

struct Scale {
  int64_t from, to;
  double inverse, scale;

  Scale(int64_t source, int64_t destination)
      : from(source),
        to(destination),
        inverse(static_cast<double>(destination) / static_cast<double>(source)),
        scale(1.0 / inverse) {}

  int64_t ratio() const { return std::lrint(scale); }
};

std::vector<Tap> area_taps(const Scale& axis, int64_t d) {
  std::vector<Tap> taps;
  const double f1 = static_cast<double>(d) * axis.scale;
  const double f2 = f1 + axis.scale;
  const double cell = std::min(axis.scale, static_cast<double>(axis.from) - f1);
  const auto s2 = std::min(static_cast<int64_t>(std::floor(f2)), axis.from - 1);
  const auto s1 = std::min(static_cast<int64_t>(std::ceil(f1)), s2);
  const auto head = static_cast<double>(s1) - f1;
  if (head > 1e-3) {
    taps.push_back({s1 - 1, static_cast<float>(head / cell)});
  }
  for (int64_t s = s1; s < s2; ++s) {
    taps.push_back({s, static_cast<float>(1.0 / cell)});
  }
  const double tail = f2 - static_cast<double>(s2);
  if (tail > 1e-3) {
    taps.push_back({s2, static_cast<float>(std::min(std::min(tail, 1.0), cell) / cell)});
  }
  return taps;
}

uint8_t at(const Image& image, int64_t y, int64_t x, int64_t c) {
  return image.pixels[static_cast<size_t>((y * image.width + x) * 3 + c)];
}

// Section 1.1 (b).
uint8_t weighted_mean(const Image& src, const Scale& sy, const Scale& sx, int64_t y, int64_t x,
                      int64_t c) {
  float sum = 0;
  bool is_first = true;
  for (const Tap& row : area_taps(sy, y)) {
    float narrow = 0;
    for (const Tap& column : area_taps(sx, x)) {
      const float product =
          static_cast<float>(at(src, row.source, column.source, c)) * column.share;
      narrow = narrow + product;
    }
    const float product = row.share * narrow;
    sum = is_first ? product : sum + product;
    is_first = false;
  }
  return saturated(std::llrint(sum));
}

// Section 1.1 (a).
uint8_t box_mean(const Image& src, const Scale& sy, const Scale& sx, int64_t y, int64_t x,
                 int64_t c) {
  const int64_t height = sy.ratio();
  const int64_t width = sx.ratio();
  int64_t sum = 0;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      sum += at(src, y * height + i, x * width + j, c);
    }
  }
  if (height == 2 && width == 2) {
    return static_cast<uint8_t>((sum + 2) >> 2);
  }
  const auto factor = static_cast<float>(1.0 / static_cast<double>(height * width));
  return saturated(std::llrint(static_cast<float>(sum) * factor));
}

struct LinearTaps {
  int64_t near = 0, far = 0;
  int64_t near_weight = 0, far_weight = 0;
};

LinearTaps linear_taps(const Scale& axis, int64_t d) {
  auto s = static_cast<int64_t>(std::floor(static_cast<double>(d) * axis.scale));
  auto fraction =
      static_cast<float>(static_cast<double>(d + 1) - static_cast<double>(s + 1) * axis.inverse);
  fraction = fraction <= 0 ? 0 : fraction - std::floor(fraction);
  if (s >= axis.from - 1) {
    s = axis.from - 1;
    fraction = 0;
  }
  return {s, std::min(s + 1, axis.from - 1), std::lrint((1.0F - fraction) * 2048.0F),
          std::lrint(fraction * 2048.0F)};
}

// Section 1.2.
uint8_t linear(const Image& src, const Scale& sy, const Scale& sx, int64_t y, int64_t x,
               int64_t c) {
  const LinearTaps rows = linear_taps(sy, y);
  const LinearTaps columns = linear_taps(sx, x);
  const auto stretched = [&](int64_t row) {
    return at(src, row, columns.near, c) * columns.near_weight +
           at(src, row, columns.far, c) * columns.far_weight;
  };
  const int64_t upper = (rows.near_weight * (stretched(rows.near) >> 4)) >> 16;
  const int64_t lower = (rows.far_weight * (stretched(rows.far) >> 4)) >> 16;
  return saturated((upper + lower + 2) >> 2);
}

using PixelFormula = uint8_t (*)(const Image&, const Scale&, const Scale&, int64_t, int64_t,
                                 int64_t);

Image plain_area(const Image& src, Size to) {
  const Scale sy(src.height, to.height);
  const Scale sx(src.width, to.width);
  const auto is_integer = [](const Scale& s) {
    return std::abs(s.scale - static_cast<double>(s.ratio())) < DBL_EPSILON;
  };
  PixelFormula formula = linear;
  if (src.height == to.height && src.width == to.width) {
    return src;
  }
  if (sy.scale >= 1 && sx.scale >= 1) {
    formula = is_integer(sy) && is_integer(sx) ? box_mean : weighted_mean;
  }
  Image out{to.height, to.width, {}};
  for (int64_t y = 0; y < to.height; ++y) {
    for (int64_t x = 0; x < to.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        out.pixels.push_back(formula(src, sy, sx, y, x, c));
      }
    }
  }
  return out;
}

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) {
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  }
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

// Section 2.1 on a row of samples.
std::vector<uint8_t> plain_filter(const std::vector<uint8_t>& in, int64_t to) {
  const auto from = std::ssize(in);
  if (from == to) {
    return in;
  }
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double filter_scale = std::max(scale, 1.0);
  const double support = 2 * filter_scale;
  std::vector<uint8_t> out;
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto low = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto high = std::min(from, static_cast<int64_t>(centre + support + 0.5));
    const auto weight = [&](int64_t j) {
      return cubic((static_cast<double>(j) - centre + 0.5) * (1.0 / filter_scale));
    };
    double total = 0;
    for (int64_t j = low; j < high; ++j) {
      total += weight(j);
    }
    int64_t sum = int64_t{1} << 21;
    for (int64_t j = low; j < high; ++j) {
      const double w = (total != 0 ? weight(j) / total : weight(j)) * 4194304.0;
      sum += in[static_cast<size_t>(j)] * static_cast<int64_t>(w < 0 ? w - 0.5 : w + 0.5);
    }
    out.push_back(saturated(sum >> 22));
  }
  return out;
}

// The samples of a line of pixels `step` values apart.
std::vector<uint8_t> line_of(const Image& image, int64_t first, int64_t step, int64_t count) {
  std::vector<uint8_t> line;
  for (int64_t i = 0; i < count; ++i) {
    line.push_back(image.pixels[static_cast<size_t>(first + i * step)]);
  }
  return line;
}

Image plain_bicubic(const Image& src, Size to) {
  Image between{src.height, to.width,
                std::vector<uint8_t>(static_cast<size_t>(src.height * to.width * 3))};
  for (int64_t i = 0; i < src.height * 3; ++i) {
    const int64_t y = i / 3;
    const int64_t c = i % 3;
    const auto line = plain_filter(line_of(src, y * src.width * 3 + c, 3, src.width), to.width);
    for (int64_t x = 0; x < to.width; ++x) {
      between.pixels[static_cast<size_t>((y * to.width + x) * 3 + c)] =
          line[static_cast<size_t>(x)];
    }
  }
  const int64_t row_values = to.width * 3;
  Image out{to.height, to.width, std::vector<uint8_t>(static_cast<size_t>(to.height * row_values))};
  for (int64_t i = 0; i < row_values; ++i) {
    const auto line = plain_filter(line_of(between, i, row_values, src.height), to.height);
    for (int64_t y = 0; y < to.height; ++y) {
      out.pixels[static_cast<size_t>(y * row_values + i)] = line[static_cast<size_t>(y)];
    }
  }
  return out;
}

// ---- the cases ----

// Hard edges as often as not: 0 and 255 beside noise.
Image noise(Size size, uint64_t seed) {
  std::vector<float> draws(static_cast<size_t>(size.height * size.width * 3));
  normal_noise(seed, 0, draws);
  Image image{size.height, size.width, {}};
  for (const float draw : draws) {
    image.pixels.push_back(saturated(std::lrint(128 + 160 * draw)));
  }
  return image;
}

struct Pair {
  Size from, to;
};

std::vector<Pair> odd_pairs() {
  std::vector<Pair> pairs = {
      // the sizes of cameras
      {{480, 640}, {256, 341}},
      {{243, 323}, {256, 340}},
      {{256, 340}, {252, 336}},
      {{240, 320}, {256, 341}},
      {{720, 1280}, {256, 455}},
      {{1080, 1920}, {256, 455}},
      // equal on one axis or both
      {{37, 64}, {37, 64}},
      {{37, 64}, {37, 41}},
      {{37, 64}, {19, 64}},
      {{37, 64}, {74, 64}},
      // integer ratios
      {{64, 96}, {32, 48}},
      {{66, 96}, {22, 24}},
      {{64, 96}, {64, 48}},
      {{8, 160}, {4, 32}},
      // one pixel
      {{1, 1}, {9, 7}},
      {{1, 50}, {1, 33}},
      {{50, 1}, {33, 1}},
      {{1, 50}, {5, 80}},
      {{41, 29}, {1, 1}},
      // extreme aspects and ratios
      {{2, 700}, {3, 301}},
      {{700, 2}, {301, 3}},
      {{3, 900}, {2, 17}},
      {{900, 3}, {17, 2}},
      {{900, 40}, {23, 31}},
      {{40, 900}, {31, 23}},
      {{5, 5}, {140, 3}},
  };
  std::vector<float> draws(6 * 60);
  normal_noise(7, 0, draws);
  const auto side = [&](size_t i) { return 1 + std::lrint(60 * std::abs(draws[i])); };
  for (size_t i = 0; i + 4 <= draws.size(); i += 4) {
    pairs.push_back({{side(i), side(i + 1)}, {side(i + 2), side(i + 3)}});
  }
  return pairs;
}

std::string name_of(const Pair& pair, const RowKernels& kernels) {
  return std::to_string(pair.from.height) + "x" + std::to_string(pair.from.width) + " -> " +
         std::to_string(pair.to.height) + "x" + std::to_string(pair.to.width) + ", " +
         std::string(kernels.name);
}

// A resize of only `columns` in two parts, into an image between bytes that must stay, from rows
// that end where the memory does.
Image in_two_parts(const Image& src, Size to, Range columns, const Resizer& resizer) {
  constexpr uint8_t kUntouched = 0xa5;
  const int64_t row_bytes = columns.count() * 3;
  std::vector<uint8_t> guarded(static_cast<size_t>(to.height * row_bytes + 128), kUntouched);
  const int64_t split = to.height / 3;
  const std::array<Range, 2> parts = {{{split, to.height}, {0, split}}};
  for (const Range rows : parts) {
    if (rows.count() == 0) {
      continue;
    }
    const Range sources = resizer.source_rows(rows);
    const int64_t source_bytes = src.width * 3;
    const std::vector<uint8_t> window(src.pixels.begin() + sources.begin * source_bytes,
                                      src.pixels.begin() + sources.end * source_bytes);
    Buffer scratch = Buffer::allocate_for_overwrite(resizer.scratch_bytes(rows.count())).value();
    resizer.run({window.data(), source_bytes, sources.begin}, rows,
                {guarded.data() + 64, row_bytes}, scratch.data());
  }
  EXPECT_TRUE(std::all_of(guarded.begin(), guarded.begin() + 64,
                          [](uint8_t byte) { return byte == kUntouched; }));
  EXPECT_TRUE(std::all_of(guarded.end() - 64, guarded.end(),
                          [](uint8_t byte) { return byte == kUntouched; }));
  return {to.height, columns.count(), {guarded.begin() + 64, guarded.end() - 64}};
}

Image columns_of(const Image& image, Range columns) {
  Image out{image.height, columns.count(), {}};
  for (int64_t y = 0; y < image.height; ++y) {
    const auto row = image.pixels.begin() + y * image.width * 3;
    out.pixels.insert(out.pixels.end(), row + columns.begin * 3, row + columns.end * 3);
  }
  return out;
}

TEST(ResizeProperty, AreaIsTheFormulaForAllSizesAndKernels) {
  uint64_t seed = 1;
  for (const Pair& pair : odd_pairs()) {
    const Image src = noise(pair.from, seed++);
    const Image expected = plain_area(src, pair.to);
    const Range all{0, pair.to.width};
    const Range some{pair.to.width / 5, pair.to.width - pair.to.width / 7};
    for (const RowKernels* kernels : row_kernels()) {
      SCOPED_TRACE(name_of(pair, *kernels));
      EXPECT_EQ(resize(src, pair.to, *make_area_resizer(pair.from, pair.to, all, *kernels)).pixels,
                expected.pixels);
      const auto part = make_area_resizer(pair.from, pair.to, some, *kernels);
      EXPECT_EQ(in_two_parts(src, pair.to, some, *part).pixels, columns_of(expected, some).pixels);
    }
  }
}

TEST(ResizeProperty, BicubicIsTheFormulaForAllSizesAndKernels) {
  uint64_t seed = 1000;
  for (const Pair& pair : odd_pairs()) {
    const Image src = noise(pair.from, seed++);
    const Image expected = plain_bicubic(src, pair.to);
    const Range all{0, pair.to.width};
    for (const RowKernels* kernels : row_kernels()) {
      SCOPED_TRACE(name_of(pair, *kernels));
      const auto resizer = make_bicubic_resizer(pair.from, pair.to, *kernels);
      EXPECT_EQ(resize(src, pair.to, *resizer).pixels, expected.pixels);
      EXPECT_EQ(in_two_parts(src, pair.to, all, *resizer).pixels, expected.pixels);
    }
  }
}

// The whole transform in any number of bands, against its steps one after the other.
TEST(FrameTransformProperty, BandsAndKernelsMakeTheSameFrame) {
  struct Case {
    Size frame;
    int64_t edge = 256;
    double fraction = 0.95;
  };

  const Case cases[] = {{{480, 640}},      {{240, 320}},           {{256, 256}},
                        {{512, 384}},      {{97, 401}, 130, 0.8},  {{401, 97}, 60, 0.5},
                        {{31, 33}, 28, 1}, {{300, 200}, 200, 0.9}, {{20, 900}, 40, 0.3}};
  for (const Case& c : cases) {
    const Image frame = noise(c.frame, 5);
    const auto sizes = transform_sizes(c.frame, c.edge, c.fraction).value();
    const Image resized = plain_area(frame, sizes.resized);
    Image cropped{sizes.cropped.height, sizes.cropped.width, {}};
    const int64_t top = (sizes.resized.height - sizes.cropped.height) / 2;
    const int64_t left = (sizes.resized.width - sizes.cropped.width) / 2;
    for (int64_t y = top; y < top + sizes.cropped.height; ++y) {
      const auto row = resized.pixels.begin() + (y * resized.width + left) * 3;
      cropped.pixels.insert(cropped.pixels.end(), row, row + cropped.width * 3);
    }
    const Image transformed = plain_area(cropped, sizes.transformed);
    const Image expected = plain_bicubic(transformed, sizes.snapped);
    EXPECT_EQ(eval_transform(frame, c.edge, c.fraction).value().pixels, transformed.pixels);
    for (const RowKernels* kernels : row_kernels()) {
      for (const int64_t bands : {1, 5, 1000}) {
        SCOPED_TRACE(std::to_string(c.frame.height) + "x" + std::to_string(c.frame.width) + ", " +
                     std::string(kernels->name) + ", bands " + std::to_string(bands));
        const auto transform =
            FrameTransform::create(c.frame, c.edge, c.fraction, bands, *kernels).value();
        Buffer scratch = Buffer::allocate_for_overwrite(transform.scratch_bytes()).value();
        std::vector<uint8_t> snapped(expected.pixels.size());
        for (int64_t band = transform.bands() - 1; band >= 0; --band) {
          transform.snap(frame, band, snapped, scratch.data());
        }
        EXPECT_EQ(snapped, expected.pixels);
      }
    }
  }
}

}  // namespace
}  // namespace sinew::preprocess
