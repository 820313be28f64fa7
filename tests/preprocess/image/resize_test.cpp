// Each resizing branch on images small enough to work out by hand; whole frames are in
// frame_transform_test.cpp and golden_test.cpp.
#include "preprocess/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <numeric>
#include <vector>

namespace sinew::preprocess {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// One level a pixel, the same in all channels but for c times 1 (levels stay under 254).
Image image_of(int64_t height, int64_t width, const std::vector<int>& levels) {
  Image image{height, width, {}};
  for (const int level : levels) {
    for (int c = 0; c < 3; ++c) {
      image.pixels.push_back(static_cast<uint8_t>(level + c));
    }
  }
  return image;
}

// The levels of channel 0; expects the others to follow it.
std::vector<int> levels_of(const Image& image) {
  std::vector<int> levels;
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    levels.push_back(image.pixels[i]);
    EXPECT_EQ(image.pixels[i + 1], image.pixels[i] + 1);
    EXPECT_EQ(image.pixels[i + 2], image.pixels[i] + 2);
  }
  return levels;
}

TEST(ResizeArea, HalvingRoundsHalfUp) {
  const Image in = image_of(2, 4,
                            {0, 1, 10, 20,  //
                             0, 1, 10, 21});
  EXPECT_THAT(levels_of(resize_area(in, 1, 2)), ElementsAre(1, 15));  // 0.5 and 15.25
}

TEST(ResizeArea, OtherBoxesRoundHalfToEven) {
  const Image in = image_of(1, 4, {0, 1, 1, 2});
  // 0.5, 1.5, 2.5 and 1.5, 2.5, 3.5
  EXPECT_THAT(resize_area(in, 1, 2).pixels, ElementsAre(0, 2, 2, 2, 2, 4));
  const Image nine = image_of(3, 3, {9, 9, 9, 9, 90, 9, 9, 9, 18});
  EXPECT_THAT(levels_of(resize_area(nine, 1, 1)), ElementsAre(19));
}

TEST(ResizeArea, WeighsPartlyCoveredPixels) {
  const Image in = image_of(1, 3, {0, 30, 120});
  EXPECT_THAT(levels_of(resize_area(in, 1, 2)), ElementsAre(10, 90));
  const Image column = image_of(3, 1, {0, 30, 120});
  EXPECT_THAT(levels_of(resize_area(column, 2, 1)), ElementsAre(10, 90));
}

TEST(ResizeArea, EnlargesLinearlyBetweenCells) {
  const Image in = image_of(1, 2, {0, 100});
  // Cells of 2/3: the middle one straddles the border, half and half.
  EXPECT_THAT(levels_of(resize_area(in, 1, 3)), ElementsAre(0, 50, 100));
  EXPECT_THAT(levels_of(resize_area(in, 2, 2)), ElementsAre(0, 100, 0, 100));
  // Larger on one axis, smaller on the other: linear on both.
  const Image square = image_of(3, 1, {0, 60, 240});
  EXPECT_THAT(levels_of(resize_area(square, 2, 2)), ElementsAre(20, 20, 180, 180));
}

TEST(ResizeArea, EqualSizesCopy) {
  const Image in = image_of(2, 2, {5, 6, 7, 8});
  EXPECT_EQ(resize_area(in, 2, 2).pixels, in.pixels);
}

TEST(ResizeBicubic, KeepsFlatImagesAndCopiesEqualSizes) {
  const Image flat = image_of(5, 7, std::vector<int>(35, 200));
  EXPECT_THAT(levels_of(resize_bicubic(flat, 28, 3)), ElementsAreArray(std::vector<int>(84, 200)));
  const Image in = image_of(1, 3, {1, 2, 3});
  EXPECT_EQ(resize_bicubic(in, 1, 3).pixels, in.pixels);
}

TEST(ResizeBicubic, OvershootsAndSaturates) {
  Image step{1, 4, {0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255}};
  const Image out = resize_bicubic(step, 1, 8);
  std::array<int, 8> levels{};
  for (size_t x = 0; x < levels.size(); ++x) {
    levels[x] = out.pixels[3 * x];
  }
  // Quarter positions: the taps are (-9, 29, 111, -3)/128 and mirrored.
  EXPECT_THAT(levels, ElementsAre(0, 0, 0, 52, 203, 255, 255, 255));
}

TEST(ResizeBicubic, AxesAreFilteredApart) {
  const Image row = image_of(1, 5, {10, 60, 20, 90, 200});
  const Image column = image_of(5, 1, {10, 60, 20, 90, 200});
  EXPECT_EQ(resize_bicubic(row, 1, 3).pixels, resize_bicubic(column, 3, 1).pixels);
  EXPECT_EQ(resize_bicubic(row, 1, 9).pixels, resize_bicubic(column, 9, 1).pixels);
}

TEST(Resize, EverySmallPairOfSizesStaysInBounds) {
  std::vector<int> levels(144);
  std::iota(levels.begin(), levels.end(), 0);
  for (int64_t from = 1; from <= 12; ++from) {
    const Image in =
        image_of(from, 13 - from, {levels.begin(), levels.begin() + from * (13 - from)});
    for (int64_t height = 1; height <= 14; ++height) {
      for (int64_t width = 1; width <= 14; ++width) {
        const auto bytes = static_cast<size_t>(height * width * 3);
        ASSERT_EQ(resize_area(in, height, width).pixels.size(), bytes);
        ASSERT_EQ(resize_bicubic(in, height, width).pixels.size(), bytes);
      }
    }
  }
}

}  // namespace
}  // namespace sinew::preprocess
