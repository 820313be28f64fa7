// Whole frames against the checksums of spec/preprocessing.md section 10, and the reusable path.
#include "preprocess/image/frame_transform.h"

#include "base/float16.h"
#include "preprocess/image/image.h"
#include "preprocess/image/image_testing.h"
#include "support/allocation_count.h"
#include "tensor/buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace sinew::preprocess {
namespace {

using ::testing::HasSubstr;

struct Row {
  Size frame;
  uint32_t input = 0, transformed = 0, snapped = 0, f32 = 0, bf16 = 0;
  uint8_t first[3] = {}, middle[3] = {};
};

const Row kRows[] = {
    {{480, 640},
     0x6da5aa73,
     0xc0b11247,
     0x44826d6d,
     0xcb3577ae,
     0x00413bfd,
     {53, 154, 107},
     {126, 128, 120}},
    {{240, 320},
     0x8ea0eddf,
     0x41a34f02,
     0xe3b2852c,
     0x1ca04447,
     0xfdb63fe9,
     {139, 239, 85},
     {152, 87, 188}},
    {{256, 256},
     0x4b294945,
     0xb7521a54,
     0x2d20edb6,
     0xce2a97d7,
     0x16bbb10d,
     {126, 227, 72},
     {162, 66, 166}},
    {{512, 512},
     0xa137798b,
     0xef51bc71,
     0x5893cb84,
     0xa2ad9a64,
     0xc5c139a7,
     {23, 124, 224},
     {118, 124, 127}},
    {{720, 1280},
     0xe2890b15,
     0x2c21548c,
     0x87f687c7,
     0xc2962ab6,
     0x59038778,
     {45, 145, 158},
     {122, 131, 115}},
    {{1080, 1920},
     0x03b84b41,
     0x6072837f,
     0xa87238d7,
     0x7a721ccb,
     0x2e54d82b,
     {150, 140, 97},
     {125, 130, 130}},
    {{800, 1280},
     0x21676172,
     0x89796e98,
     0xf39e9915,
     0xdb373f82,
     0xf8780313,
     {86, 186, 43},
     {131, 125, 132}},
    {{240, 276},
     0x0bdf1829,
     0x02f325d5,
     0xb159be05,
     0x5ca03b8d,
     0x353845ff,
     {124, 225, 70},
     {157, 134, 103}},
    {{224, 224},
     0x6f3a47a0,
     0x41451f82,
     0x6100ad24,
     0xc7b353bd,
     0xf703bf0e,
     {107, 208, 53},
     {207, 52, 153}},
};

TEST(SyntheticFrames, EveryStageHasTheChecksumOfTheSpec) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(::testing::Message() << row.frame.height << "x" << row.frame.width);
    const Image frame = synthetic_frame(row.frame.height, row.frame.width);
    ASSERT_EQ(checksum(frame), row.input);
    const auto transformed = eval_transform(frame, 256, 0.95);
    ASSERT_TRUE(transformed.ok()) << transformed.status().message();
    EXPECT_EQ(checksum(transformed.value()), row.transformed);
    const auto snapped = snap_to_patches(transformed.value());
    ASSERT_TRUE(snapped.ok()) << snapped.status().message();
    const Image& out = snapped.value();
    EXPECT_EQ(checksum(out), row.snapped);
    const auto middle = static_cast<size_t>((out.height / 2 * out.width + out.width / 2) * 3);
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(out.pixels[c], row.first[c]);
      EXPECT_EQ(out.pixels[middle + c], row.middle[c]);
    }
    std::vector<float> planes;  // as the network normalises them (ops::OpKind::kNormalizeFrames)
    for (size_t c = 0; c < 3; ++c) {
      for (size_t i = c; i < out.pixels.size(); i += 3) {
        planes.push_back((static_cast<float>(out.pixels[i]) - 127.5F) / 127.5F);
      }
    }
    EXPECT_EQ(checksum(std::span<const float>(planes)), row.f32);
    std::vector<Bf16> rounded;
    rounded.reserve(planes.size());
    for (const float value : planes) {
      rounded.push_back(to_bf16(value));
    }
    EXPECT_EQ(checksum(std::span<const Bf16>(rounded)), row.bf16);
  }
}

TEST(SyntheticFrames, FirstResizeHasTheChecksumOfTheSpec) {
  struct First {
    Size frame, resized;
    uint32_t checksum = 0;
  };

  const First rows[] = {
      {{480, 640}, {256, 341}, 0x56a62a59},  {{240, 320}, {256, 341}, 0x471b6eed},
      {{256, 256}, {256, 256}, 0x4b294945},  {{512, 512}, {256, 256}, 0xd81b680c},
      {{720, 1280}, {256, 455}, 0x8155a480}, {{1080, 1920}, {256, 455}, 0x2cbd6fe1},
      {{800, 1280}, {256, 410}, 0xe62acf37}, {{240, 276}, {256, 294}, 0xe7b3c919},
      {{224, 224}, {256, 256}, 0xda5e5b61},
  };
  for (const First& row : rows) {
    const Image frame = synthetic_frame(row.frame.height, row.frame.width);
    EXPECT_EQ(checksum(resize_area(frame, row.resized.height, row.resized.width)), row.checksum)
        << row.frame.height << "x" << row.frame.width;
  }
}

// All bands of a frame, one after the other.
struct WholeFrames {
  FrameTransform transform;
  Buffer scratch = Buffer::allocate_for_overwrite(transform.scratch_bytes()).value();

  void run(const ImageRef& frame, std::span<uint8_t> dst) {
    for (int64_t band = 0; band < transform.bands(); ++band) {
      transform.snap(frame, band, dst, scratch.data());
    }
  }
};

TEST(FrameTransform, RepeatsExactlyAndAllocatesNothing) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(::testing::Message() << row.frame.height << "x" << row.frame.width);
    auto made = FrameTransform::create(row.frame, 256, 0.95);
    ASSERT_TRUE(made.ok()) << made.status().message();
    WholeFrames frames{std::move(made).value()};
    const Image frame = synthetic_frame(row.frame.height, row.frame.width);
    const Image other{row.frame.height, row.frame.width,
                      std::vector<uint8_t>(frame.pixels.size(), 77)};
    const Size size = frames.transform.sizes().snapped;
    std::vector<uint8_t> dst(static_cast<size_t>(size.height * size.width * 3));
    const int64_t before = test::allocation_count();
    frames.run(frame, dst);
    frames.run(other, dst);
    const bool is_flat = dst == std::vector<uint8_t>(dst.size(), 77);
    const int64_t between = test::allocation_count();
    frames.run(frame, dst);
    EXPECT_EQ(test::allocation_count(), between);
    // The vector that is compared with.
    EXPECT_EQ(between - before, test::counts_allocations() ? 1 : 0);
    EXPECT_TRUE(is_flat);
    EXPECT_EQ(checksum(std::span<const uint8_t>(dst)), row.snapped);
  }
}

TEST(FrameTransform, NoCropAndNoResizeOnlySnaps) {
  const Image frame = synthetic_frame(64, 90);
  auto made = FrameTransform::create({64, 90}, 64, 1.0);
  ASSERT_TRUE(made.ok());
  const auto transformed = eval_transform(frame, 64, 1.0);
  ASSERT_TRUE(transformed.ok());
  EXPECT_EQ(transformed.value().pixels, frame.pixels);
  std::vector<uint8_t> dst(size_t{56} * 84 * 3);
  WholeFrames{std::move(made).value()}.run(frame, dst);
  EXPECT_EQ(dst, resize_bicubic(frame, 56, 84).pixels);
}

TEST(FrameTransform, HasBandsForThreadsButNoThinOnes) {
  const auto bands = [](int64_t wanted) {
    return FrameTransform::create({480, 640}, 256, 0.95, wanted).value().bands();
  };
  EXPECT_EQ(bands(1), 4);  // of 63 rows
  EXPECT_EQ(bands(6), 6);
  EXPECT_EQ(bands(100), 8);
}

TEST(FrameTransform, RefusesWhatHasNoSize) {
  const auto strip = FrameTransform::create({4, 1000}, 4, 1.0);
  EXPECT_EQ(strip.status().code(), Code::kBadInput);
  EXPECT_THAT(strip.status().message(), HasSubstr("4x1000"));
  EXPECT_EQ(eval_transform(ImageRef(), 256, 0.95).status().code(), Code::kBadInput);
  EXPECT_EQ(snap_to_patches(ImageRef()).status().code(), Code::kBadInput);
}

}  // namespace
}  // namespace sinew::preprocess
