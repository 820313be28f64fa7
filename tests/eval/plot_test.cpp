#include "eval/plot.h"

#include "preprocess/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace sinew::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Example {
  TrajectoryResult trajectory;
  std::vector<ComparedKey> keys{{"arm", 2, {"arm[0] (shoulder)", "arm[1] (elbow)"}},
                                {"grip", 1, {"grip"}}};

  explicit Example(bool has_state) {
    trajectory.steps = 60;
    trajectory.dims = 3;
    for (int i = 0; i < 60; ++i) {
      for (int dim = 0; dim < 3; ++dim) {
        const auto value = static_cast<float>(std::sin(0.1 * i + dim));
        trajectory.recorded.push_back(value);
        trajectory.predicted.push_back(value + 0.05F);
        if (has_state) {
          trajectory.state.push_back(value - 0.1F);
        }
      }
    }
  }
};

Result<preprocess::Image> decode(const std::string& png) {
  return preprocess::decode_image(std::as_bytes(std::span(png)), "plot");
}

TEST(Plot, PngHasOnePanelADimension) {
  const Example example(true);
  const Result<std::string> png = draw_plot(example.trajectory, example.keys, 16, PlotFormat::kPng);
  ASSERT_TRUE(png.ok());
  const Result<preprocess::Image> image = decode(png.value());
  ASSERT_TRUE(image.ok()) << image.status().message();
  EXPECT_EQ(image.value().width, 800);
  EXPECT_EQ(image.value().height, 3 * 400);
}

// Counts pixels near a colour.
int64_t count_colour(const preprocess::Image& image, int red, int green, int blue) {
  int64_t count = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    const auto is_near = [&](size_t channel, int value) {
      return std::abs(static_cast<int>(image.pixels[i + channel]) - value) < 12;
    };
    count += is_near(0, red) && is_near(1, green) && is_near(2, blue) ? 1 : 0;
  }
  return count;
}

TEST(Plot, ShowsEverySeriesAndOnlyThoseThatExist) {
  const Result<preprocess::Image> with =
      decode(draw_plot(Example(true).trajectory, Example(true).keys, 16, PlotFormat::kPng).value());
  const Result<preprocess::Image> without = decode(
      draw_plot(Example(false).trajectory, Example(false).keys, 16, PlotFormat::kPng).value());
  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_GT(count_colour(with.value(), 0, 114, 178), 1000);  // recorded
  EXPECT_GT(count_colour(with.value(), 230, 159, 0), 1000);  // predicted
  // Edges of letters are grey as well, the same in both.
  EXPECT_GT(count_colour(with.value(), 148, 148, 148),
            count_colour(without.value(), 148, 148, 148) + 500);  // state
  // Inference points of a longer stride are fewer.
  const Result<preprocess::Image> sparse =
      decode(draw_plot(Example(true).trajectory, Example(true).keys, 60, PlotFormat::kPng).value());
  EXPECT_GT(count_colour(with.value(), 219, 20, 26), 2 * count_colour(sparse.value(), 219, 20, 26));
}

TEST(Plot, SvgIsTheSameDrawing) {
  const Example example(true);
  const Result<std::string> svg = draw_plot(example.trajectory, example.keys, 16, PlotFormat::kSvg);
  ASSERT_TRUE(svg.ok());
  EXPECT_TRUE(svg.value().starts_with("<?xml"));
  EXPECT_THAT(svg.value(), HasSubstr("width=\"800px\" height=\"1200px\""));
  EXPECT_THAT(svg.value(), HasSubstr("</svg>"));
}

TEST(Plot, SurvivesConstantAndNonFiniteSeries) {
  TrajectoryResult trajectory;
  trajectory.steps = 1;
  trajectory.dims = 1;
  trajectory.recorded = {0};
  trajectory.predicted = {std::numeric_limits<float>::quiet_NaN()};
  const std::vector<ComparedKey> keys{{"k", 1, {"k"}}};
  const Result<std::string> png = draw_plot(trajectory, keys, 16, PlotFormat::kPng);
  ASSERT_TRUE(png.ok()) << png.status().message();
  EXPECT_TRUE(decode(png.value()).ok());
}

TEST(AxisTicks, AreRoundAndInside) {
  EXPECT_THAT(axis_ticks(0, 100, 5), ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_THAT(axis_ticks(-0.1, 1.05, 6),
              ElementsAre(0, 0.2, testing::DoubleNear(0.4, 1e-12), testing::DoubleNear(0.6, 1e-12),
                          testing::DoubleNear(0.8, 1e-12), 1));
  for (const double scale : {1e-6, 1.0, 1e9}) {
    const std::vector<double> ticks = axis_ticks(-3.3 * scale, 7.1 * scale, 6);
    EXPECT_GE(ticks.size(), 4U) << scale;
    EXPECT_LE(ticks.size(), 12U) << scale;
    EXPECT_GE(ticks.front(), -3.3 * scale);
    EXPECT_LE(ticks.back(), 7.1 * scale);
  }
}

TEST(PlotTargets, FollowThePath) {
  const auto one = plot_targets("out/plot.png", 3, false);
  ASSERT_TRUE(one.ok());
  ASSERT_EQ(one.value().size(), 1U);
  EXPECT_EQ(one.value()[0].path, "out/plot.png");
  const auto several = plot_targets("out/plot.svg", 3, true);
  EXPECT_EQ(several.value()[0].path, "out/plot_traj_3.svg");
  EXPECT_EQ(several.value()[0].format, PlotFormat::kSvg);
  const auto folder = plot_targets("out/plots", 3, true);
  ASSERT_EQ(folder.value().size(), 2U);
  EXPECT_EQ(folder.value()[0].path, "out/plots/traj_3.png");
  EXPECT_EQ(folder.value()[1].path, "out/plots/traj_3.svg");
  EXPECT_EQ(plot_targets("plot.jpeg", 0, false).status().code(), Code::kUsage);
}

TEST(PlotTargets, RefusesPicturesBeyondTheFormat) {
  EXPECT_TRUE(check_plot_size({{"a.png", PlotFormat::kPng}}, 81).ok());
  EXPECT_EQ(check_plot_size({{"a.png", PlotFormat::kPng}}, 82).code(), Code::kUsage);
  EXPECT_TRUE(check_plot_size({{"a.svg", PlotFormat::kSvg}}, 200).ok());
}

}  // namespace
}  // namespace sinew::eval
