// The sizes that a frame goes through: spec/preprocessing.md section 1.4 and 2.
#include "preprocess/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <vector>

namespace sinew::preprocess {

// NOLINTNEXTLINE(readability-identifier-naming): the name that GoogleTest looks for
void PrintTo(const Size& size, std::ostream* out) {
  *out << size.height << "x" << size.width;
}

namespace {

using ::testing::HasSubstr;

Size snapped(Size size) {
  const Image image{size.height, size.width,
                    std::vector<uint8_t>(static_cast<size_t>(size.height * size.width * 3), 9)};
  const auto result = snap_to_patches(image);
  return result.ok() ? Size{result.value().height, result.value().width} : Size{};
}

TEST(TransformSizes, TableOfTheSpec) {
  struct Row {
    Size frame, resized, cropped, transformed, snapped;
  };

  const Row rows[] = {
      {{480, 640}, {256, 341}, {243, 323}, {256, 340}, {252, 336}},
      {{240, 320}, {256, 341}, {243, 323}, {256, 340}, {252, 336}},
      {{256, 256}, {256, 256}, {243, 243}, {256, 256}, {252, 252}},
      {{512, 512}, {256, 256}, {243, 243}, {256, 256}, {252, 252}},
      {{720, 1280}, {256, 455}, {243, 432}, {256, 455}, {252, 448}},
      {{1080, 1920}, {256, 455}, {243, 432}, {256, 455}, {252, 448}},
      {{800, 1280}, {256, 410}, {243, 389}, {256, 410}, {252, 420}},
      {{240, 276}, {256, 294}, {243, 279}, {256, 294}, {252, 280}},
      {{640, 480}, {341, 256}, {323, 243}, {340, 256}, {336, 252}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(::testing::PrintToString(row.frame));
    const auto sizes = transform_sizes(row.frame, 256, 0.95);
    ASSERT_TRUE(sizes.ok()) << sizes.status().message();
    EXPECT_EQ(sizes.value().resized, row.resized);
    EXPECT_EQ(sizes.value().cropped, row.cropped);
    EXPECT_EQ(sizes.value().transformed, row.transformed);
    EXPECT_EQ(sizes.value().snapped, row.snapped);
  }
}

TEST(TransformSizes, CropKeepsAtLeastOnePixel) {
  const auto sizes = transform_sizes({1, 1}, 1, 0.5);
  ASSERT_TRUE(sizes.ok());
  EXPECT_EQ(sizes.value().cropped, (Size{1, 1}));
}

TEST(TransformSizes, RefusesBadInput) {
  const auto message = [](Size frame, int64_t edge, double fraction) {
    const auto sizes = transform_sizes(frame, edge, fraction);
    EXPECT_EQ(sizes.status().code(), Code::kBadInput);
    return sizes.status().message();
  };
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(message({0, 640}, 256, 0.95), HasSubstr("0x640"));
  EXPECT_THAT(message({480, -1}, 256, 0.95), HasSubstr("480x-1"));
  EXPECT_THAT(message({kHuge, kHuge}, 256, 0.95), HasSubstr("over the limit of 16384"));
  EXPECT_THAT(message({16384, 16384}, 256, 0.95), HasSubstr("67108864"));
  EXPECT_THAT(message({1, 16384}, 16384, 0.95), HasSubstr("resized"));
  EXPECT_THAT(message({480, 640}, 0, 0.95), HasSubstr("shortest_image_edge"));
  EXPECT_THAT(message({480, 640}, kHuge, 0.95), HasSubstr("shortest_image_edge"));
  EXPECT_THAT(message({480, 640}, 256, 0.0), HasSubstr("crop_fraction"));
  EXPECT_THAT(message({480, 640}, 256, 1.01), HasSubstr("crop_fraction"));
  EXPECT_THAT(message({480, 640}, 256, std::nan("")), HasSubstr("crop_fraction"));
  EXPECT_THAT(message({4, 1000}, 4, 1.0), HasSubstr("4x1000"));  // 1 to 250
}

TEST(SnappedSize, RoundsHalfToEven) {
  EXPECT_EQ(snapped({238, 266}), (Size{224, 280}));  // 8.5 and 9.5 patches
  EXPECT_EQ(snapped({256, 340}), (Size{252, 336}));
  EXPECT_EQ(snapped({10, 700}), (Size{28, 700}));  // a side is at least one patch
}

TEST(SnappedSize, GrowsSmallImagesFromTheirOwnSize) {
  EXPECT_EQ(snapped({28, 28}), (Size{56, 56}));
  EXPECT_EQ(snapped({1, 1}), (Size{56, 56}));
  EXPECT_EQ(snapped({20, 60}), (Size{56, 112}));   // beta = 1.6166: 32.3 and 97.0
  EXPECT_EQ(snapped({30, 100}), (Size{28, 112}));  // exactly the fewest pixels allowed
}

TEST(SnappedSize, ShrinksLargeImagesFromTheSnappedSize) {
  // 1792x1792 is exactly the most; one patch more shrinks both sides: 1820 / beta = 1805.9.
  EXPECT_EQ(snapped({1792, 1792}), (Size{1792, 1792}));
  EXPECT_EQ(snapped({1792, 1820}), (Size{1764, 1792}));
  EXPECT_EQ(snapped({600, 7100}), (Size{504, 6160}));  // 588x7000 first, beta = 1.1321
}

TEST(SnappedSize, RefusesStrips) {
  EXPECT_EQ(snapped({1, 200}), (Size{28, 196}));  // 200 to 1 is the last one allowed
  const Image strip{1, 201, std::vector<uint8_t>(603)};
  const auto result = snap_to_patches(strip);
  EXPECT_EQ(result.status().code(), Code::kBadInput);
  EXPECT_THAT(result.status().message(), HasSubstr("1x201"));
}

}  // namespace
}  // namespace sinew::preprocess
