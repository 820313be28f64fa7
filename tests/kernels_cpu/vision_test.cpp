#include "kernels_cpu/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace sinew::cpu::test {
namespace {

Case frames_case(int64_t images, int64_t height, int64_t width) {
  Case c;
  c.name = fmt::format("normalize_frames v={} {}x{}", images, height, width);
  c.op = ops::OpKind::kNormalizeFrames;
  Source frames{.shape = {images, height, width, 3},
                .values = {},
                .indices = {},
                .is_weight = false,
                .dtype = DType::kU8};
  for (int64_t i = 0; i < frames.shape.elements(); ++i) {
    frames.values.push_back(static_cast<float>(i * 37 % 256));  // every level
  }
  c.dst_shapes = {{images, 3, height, width}};
  std::vector<double> pixels;
  for (int64_t v = 0; v < images; ++v) {
    for (int64_t channel = 0; channel < 3; ++channel) {
      for (int64_t p = 0; p < height * width; ++p) {
        const auto at = static_cast<size_t>((v * height * width + p) * 3 + channel);
        const float pixel = (frames.values[at] - 127.5F) / 127.5F;  // rounded once, as recorded
        pixels.push_back(static_cast<double>(pixel));
      }
    }
  }
  c.srcs = {std::move(frames)};
  c.bound = {std::vector<double>(pixels.size(), 0.0)};
  c.expected = {std::move(pixels)};
  return c;
}

Case patchify_case(int64_t images, int64_t rows, int64_t columns, int64_t patch, uint32_t seed) {
  Random random(seed);
  const int64_t height = rows * patch;
  const int64_t width = columns * patch;
  Case c;
  c.name = fmt::format("patchify v={} {}x{} patch={}", images, rows, columns, patch);
  c.op = ops::OpKind::kPatchify;
  c.attributes = ops::GridAttributes{.rows = rows, .columns = columns, .patch = patch};
  c.srcs = {random.activations({images, 3, height, width})};
  c.dst_shapes = {{images * rows * columns, 3 * patch * patch}};
  const auto pixel = c.srcs[0].effective();
  std::vector<double> u(pixel.size());
  for (int64_t v = 0; v < images; ++v) {
    for (int64_t channel = 0; channel < 3; ++channel) {
      for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
          const int64_t p = (v * rows + y / patch) * columns + x / patch;
          const int64_t feature = (y % patch * patch + x % patch) * 3 + channel;
          u[static_cast<size_t>(p * 3 * patch * patch + feature)] =
              pixel[static_cast<size_t>(((v * 3 + channel) * height + y) * width + x)];
        }
      }
    }
  }
  c.bound = {std::vector<double>(u.size(), 0.0)};
  c.expected = {std::move(u)};
  return c;
}

Case shuffle_case(int64_t images, int64_t rows, int64_t columns, int64_t d, uint32_t seed) {
  Random random(seed);
  Case c;
  c.name = fmt::format("pixel_shuffle v={} {}x{} d={}", images, rows, columns, d);
  c.op = ops::OpKind::kPixelShuffle;
  c.attributes = ops::GridAttributes{.rows = rows, .columns = columns};
  c.srcs = {random.activations({images * rows * columns, d})};
  c.dst_shapes = {{images * rows * columns / 4, 4 * d}};
  const auto y = c.srcs[0].effective();
  std::vector<double> z(y.size());
  for (int64_t v = 0; v < images; ++v) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t q = 0; q < columns; ++q) {
        for (int64_t channel = 0; channel < d; ++channel) {
          const int64_t t = (v * (rows / 2) + r / 2) * (columns / 2) + q / 2;
          z[static_cast<size_t>(t * 4 * d + 4 * channel + 2 * (r % 2) + q % 2)] =
              y[static_cast<size_t>(((v * rows + r) * columns + q) * d + channel)];
        }
      }
    }
  }
  c.bound = {std::vector<double>(z.size(), 0.0)};
  c.expected = {std::move(z)};
  return c;
}

// Weight of source position i for result position o: the triangle of spec/model.md section 3.2,
// evaluated for every i and normalised, without its integer window.
double tap(int64_t o, int64_t i, int64_t source, int64_t result) {
  const double s = static_cast<double>(source) / static_cast<double>(result);
  const double centre = s * (static_cast<double>(o) + 0.5);
  const auto triangle = [&](int64_t j) {
    return std::max(0.0, 1 - std::abs(static_cast<double>(j) + 0.5 - centre) / std::max(1.0, s));
  };
  double sum = 0;
  for (int64_t j = 0; j < source; ++j) {
    sum += triangle(j);
  }
  return triangle(i) / sum;
}

Case resize_case(int64_t side, int64_t rows, int64_t columns, int64_t d, DType dtype,
                 uint32_t seed) {
  Random random(seed);
  Case c;
  c.name = fmt::format("resize_positions {} -> {}x{} d={}", side, rows, columns, d);
  c.op = ops::OpKind::kResizePositions;
  c.attributes = ops::GridAttributes{.rows = rows, .columns = columns, .patch = side};
  c.srcs = {random.weights({side * side, d}, dtype)};
  c.dst_shapes = {{rows * columns, d}};
  const auto table = c.srcs[0].effective();
  c.expected.emplace_back();
  c.bound.emplace_back();
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t q = 0; q < columns; ++q) {
      for (int64_t channel = 0; channel < d; ++channel) {
        double sum = 0;
        for (int64_t i = 0; i < side; ++i) {
          for (int64_t j = 0; j < side; ++j) {
            sum += tap(r, i, side, rows) * tap(q, j, side, columns) *
                   table[static_cast<size_t>((i * side + j) * d + channel)];
          }
        }
        c.expected[0].push_back(sum);
        c.bound[0].push_back(kRoundoff * std::abs(sum) + 1e-14);
      }
    }
  }
  return c;
}

}  // namespace

std::vector<Case> vision_cases() {
  std::vector<Case> out;
  uint32_t seed = 600;
  out.push_back(frames_case(1, 1, 1));
  out.push_back(frames_case(2, 28, 56));
  out.push_back(frames_case(1, 3, 4100));  // lines longer than a piece
  out.push_back(patchify_case(1, 1, 1, 14, seed++));
  out.push_back(patchify_case(2, 6, 10, 14, seed++));
  out.push_back(patchify_case(3, 2, 7, 2, seed++));
  out.push_back(shuffle_case(1, 2, 2, 1, seed++));
  out.push_back(shuffle_case(2, 8, 10, 17, seed++));
  out.push_back(shuffle_case(3, 10, 8, 144, seed++));
  out.push_back(resize_case(16, 18, 18, 5, DType::kBf16, seed++));
  out.push_back(resize_case(16, 18, 24, 3, DType::kF32, seed++));
  out.push_back(resize_case(16, 16, 16, 7, DType::kF16, seed++));
  out.push_back(resize_case(16, 8, 10, 4, DType::kBf16, seed++));  // both axes shrink
  out.push_back(resize_case(16, 14, 20, 4, DType::kBf16, seed++));
  out.push_back(resize_case(4, 1, 9, 2, DType::kBf16, seed++));
  return out;
}

namespace {

// The taps of one axis, read off a table that is one-hot along rows.
std::map<int64_t, float> row_taps(int64_t result_rows, int64_t row) {
  std::map<int64_t, float> taps;
  Case c = resize_case(16, result_rows, 16, 1, DType::kF32, 1);
  for (int64_t i = 0; i < 16; ++i) {
    for (int64_t position = 0; position < 256; ++position) {
      c.srcs[0].values[static_cast<size_t>(position)] = position / 16 == i ? 1.0F : 0.0F;
    }
    const float weight = run_case(c)[0][static_cast<size_t>(row * 16)];
    if (weight != 0.0F) {
      taps[i] = weight;
    }
  }
  return taps;
}

void expect_taps(int64_t result_rows, int64_t row, const std::map<int64_t, double>& expected) {
  const auto taps = row_taps(result_rows, row);
  ASSERT_EQ(taps.size(), expected.size()) << result_rows;
  for (const auto& [position, weight] : expected) {
    ASSERT_TRUE(taps.contains(position)) << result_rows;
    EXPECT_NEAR(static_cast<double>(taps.at(position)), weight, 1e-7) << result_rows;
  }
}

// spec/model.md section 3.2 gives these.
TEST(ResizePositions, HasTheTapsOfTheSpecification) {
  expect_taps(18, 1, {{0, 1.0 / 6}, {1, 5.0 / 6}});
  expect_taps(20, 1, {{0, 0.3}, {1, 0.7}});
  expect_taps(24, 2, {{1, 5.0 / 6}, {2, 1.0 / 6}});
  expect_taps(14, 0, {{0, 0.8333333333}, {1, 0.1666666667}});
}

}  // namespace
}  // namespace sinew::cpu::test
