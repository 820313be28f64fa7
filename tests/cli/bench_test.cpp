#include "cli/bench_observation.h"
#include "cli/bench_report.h"

#include <gtest/gtest.h>

namespace sinew::cli {
namespace {

TEST(BenchFrameSize, HeightThenWidth) {
  const auto size = parse_frame_size("480x640");
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size.value().height, 480);
  EXPECT_EQ(size.value().width, 640);
  for (const char* bad : {"", "480", "x", "480x", "0x640", "480x640x3", "-1x2", "480 x 640",
                          "1x999999999999999999999"}) {
    EXPECT_EQ(parse_frame_size(bad).status().code(), Code::kUsage) << bad;
  }
}

TEST(BenchObservation, FitsThePolicyAndFollowsTheSeed) {
  PolicyInfo info;
  info.cameras = {"front", "wrist"};
  info.video_deltas = {-1, 0};
  info.state = {{"arm", 1, 5}};
  const RandomObservation a(info, {4, 6}, 1);
  const RandomObservation b(info, {4, 6}, 1);
  const RandomObservation c(info, {4, 6}, 2);
  ASSERT_EQ(a.observation().video.size(), 2U);
  ASSERT_EQ(a.observation().video[1].frames.size(), 2U);
  ASSERT_EQ(a.observation().state[0].values.size(), 5U);
  const auto pixels = [](const RandomObservation& o, size_t camera) {
    const Frame& frame = o.observation().video[camera].frames[0];
    return std::vector<uint8_t>(frame.pixels, frame.pixels + frame.height * frame.width * 3);
  };
  EXPECT_EQ(pixels(a, 0), pixels(b, 0));
  EXPECT_NE(pixels(a, 0), pixels(a, 1));
  EXPECT_NE(pixels(a, 0), pixels(c, 0));
}

TEST(BenchBound, IsTheLargerOfTheTwo) {
  MachineBounds bounds;
  bounds.read_bytes_per_second = 1e9;
  bounds.flop_per_second = 1e10;
  Component c{.name = "c", .ms = {}, .flop = 50'000'000, .weight_bytes = 1'000'000};
  EXPECT_DOUBLE_EQ(c.bound_ms(bounds), 5);  // 1 ms of reading, 5 ms of arithmetic
  EXPECT_FALSE(c.is_memory_bound(bounds));
  c.weight_bytes = 8'000'000;
  EXPECT_DOUBLE_EQ(c.bound_ms(bounds), 8);
  EXPECT_TRUE(c.is_memory_bound(bounds));
  bounds.flop_per_second.reset();
  c.weight_bytes = 2'000'000;
  EXPECT_DOUBLE_EQ(c.bound_ms(bounds), 2);
}

TEST(Environment, LoadAverage) {
  EXPECT_DOUBLE_EQ(parse_load_average("0.52 0.58 0.59 1/467 12345\n"), 0.52);
  EXPECT_LT(parse_load_average(""), 0);
  Environment e;
  e.usable_cores = 4;
  e.load_average = 0.9;
  EXPECT_FALSE(e.is_busy());
  e.load_average = 1.1;
  EXPECT_TRUE(e.is_busy());
}

}  // namespace
}  // namespace sinew::cli
