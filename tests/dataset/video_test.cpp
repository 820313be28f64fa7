// Frames by index where the container makes it hard: key frames far apart, open groups, edit lists.
#include "dataset/video_decoder.h"
#include "dataset/write_video.h"
#include "support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace sinew::dataset {
namespace {

const std::filesystem::path kVideo =
    "tests/golden/dataset/videos/chunk-000/observation.images.front/episode_000000.mp4";

std::unique_ptr<VideoDecoder> open(const std::filesystem::path& path,
                                   const VideoIndex* index = nullptr) {
  auto decoder = VideoDecoder::open(path, index);
  EXPECT_TRUE(decoder.ok()) << decoder.status().message();
  return decoder.ok() ? std::move(decoder).value() : nullptr;
}

std::vector<preprocess::Image> all_frames(const std::filesystem::path& path) {
  std::vector<preprocess::Image> frames;
  const auto decoder = open(path);
  for (int64_t i = 0; decoder != nullptr && i < decoder->index().frames(); ++i) {
    auto frame = decoder->frame(i);
    EXPECT_TRUE(frame.ok()) << frame.status().message();
    frames.push_back(std::move(frame).value());
  }
  return frames;
}

void expect_random_order_equal(const std::filesystem::path& path) {
  const std::vector<preprocess::Image> forwards = all_frames(path);
  const auto first = open(path);
  ASSERT_NE(first, nullptr);
  const auto decoder = open(path, &first->index());
  ASSERT_NE(decoder, nullptr);
  std::vector<size_t> order(forwards.size());
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937(20));
  for (const size_t i : order) {
    const auto frame = decoder->frame(static_cast<int64_t>(i));
    ASSERT_TRUE(frame.ok()) << frame.status().message();
    EXPECT_TRUE(frame.value().pixels == forwards[i].pixels) << i;
  }
}

TEST(Video, OpenGroups) {
  const test::TempFolder folder;
  test::encode_open_gop(kVideo, folder / "open.mp4", 6);
  const auto decoder = open(folder / "open.mp4");
  ASSERT_NE(decoder, nullptr);
  EXPECT_EQ(decoder->index().frames(), 30);
  EXPECT_GE(decoder->index().keys.size(), 5U);
  expect_random_order_equal(folder / "open.mp4");
}

TEST(Video, EditListThatCutsTheKeyFrameAway) {
  const test::TempFolder folder;
  test::cut_start(kVideo, folder / "cut.mp4", 7, 30);
  const std::vector<preprocess::Image> whole = all_frames(kVideo);
  const std::vector<preprocess::Image> cut = all_frames(folder / "cut.mp4");
  ASSERT_EQ(whole.size(), 30U);
  ASSERT_EQ(cut.size(), 23U);
  for (size_t i = 0; i < cut.size(); ++i) {
    EXPECT_TRUE(cut[i].pixels == whole[i + 7].pixels) << i;
  }
  expect_random_order_equal(folder / "cut.mp4");
}

TEST(Video, IndexOfTimes) {
  const auto decoder = open(kVideo);
  ASSERT_NE(decoder, nullptr);
  const VideoIndex& index = decoder->index();
  EXPECT_DOUBLE_EQ(index.seconds(29), 29.0 / 30);
  EXPECT_EQ(index.nearest(-5), 0);
  EXPECT_EQ(index.nearest(5), 29);
  EXPECT_EQ(index.nearest(3.4 / 30), 3);
  EXPECT_EQ(index.nearest(3.6 / 30), 4);
  EXPECT_EQ(VideoIndex{}.nearest(1), -1);
}

TEST(Video, OutOfRangeAndAfterAnErrorStillExact) {
  const auto decoder = open(kVideo);
  ASSERT_NE(decoder, nullptr);
  const auto expected = decoder->frame(12);
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  EXPECT_EQ(decoder->frame(30).status().code(), Code::kBadInput);
  EXPECT_EQ(decoder->frame(-1).status().code(), Code::kBadInput);
  ASSERT_TRUE(decoder->frame(29).ok());  // the decoder is at its end now
  for (const int64_t i : {0, 1, 2, 3, 4}) {
    ASSERT_TRUE(decoder->frame(i).ok());
  }
  EXPECT_TRUE(decoder->frame(12).value().pixels == expected.value().pixels);
}

TEST(Video, OtherFilesAreRefused) {
  EXPECT_THAT(VideoDecoder::open("tests/golden/dataset/data/chunk-000/episode_000000.parquet")
                  .status()
                  .message(),
              testing::HasSubstr("cannot be opened"));
  EXPECT_EQ(VideoDecoder::open("tests/golden").status().code(), Code::kBadInput);
  EXPECT_EQ(VideoDecoder::open("http://localhost/x.mp4").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace sinew::dataset
