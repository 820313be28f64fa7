// What of an observation is remarked on, how often, and what is left alone.
#include "policy/observation_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace sinew::policy {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// State "arm": three joints of -1.5 to 1.5 rad, mean 0, deviation 0.5, and one that never moved;
// state "grip": 0 to 1. Camera "front".
preprocess::ProcessorConfig example() {
  preprocess::ProcessorConfig config;
  config.modalities.state.keys = {"arm", "grip"};
  config.modalities.video.keys = {"front"};
  config.statistics.state["arm"] = {1,
                                    4,
                                    {-1.5, -1.5, -1.5, 2},
                                    {1.5, 1.5, 1.5, 2},
                                    {0, 0, 0, 2},
                                    {0.5, 0.5, 0.5, 0},
                                    {-1.4, -1.4, -1.4, 2},
                                    {1.4, 1.4, 1.4, 2}};
  config.statistics.state["grip"] = {1, 1, {0}, {1}, {0.5}, {0.5}, {0}, {1}};
  return config;
}

std::string logged(const ObservationWatch& watch, size_t state, const std::vector<float>& values) {
  testing::internal::CaptureStderr();
  watch.see_state(state, values);
  return testing::internal::GetCapturedStderr();
}

std::string logged(const preprocess::ProcessorConfig& config, const std::vector<float>& values) {
  return logged(ObservationWatch(config), 0, values);
}

TEST(ObservationWatch, LeavesWhatIsPlausibleAlone) {
  EXPECT_THAT(logged(example(), {0, 1.5, -1.5, 2}), IsEmpty());
  EXPECT_THAT(logged(example(), {3, -3, 9, 2}), IsEmpty());     // within three widths
  EXPECT_THAT(logged(example(), {60, 0, 0, 2}), IsEmpty());     // one joint of three
  EXPECT_THAT(logged(example(), {0, 0, 60, 7000}), IsEmpty());  // one, and one without a range
  EXPECT_THAT(logged(ObservationWatch(example()), 1, {3.5F}), IsEmpty());
}

TEST(ObservationWatch, SaysDegreesWhereDividingByThemFits) {
  EXPECT_THAT(logged(example(), {60, -45, 10, 2}),
              AllOf(HasSubstr("warning: state \"arm\": 2 of 4 dimensions"),
                    HasSubstr("dimension 0 is 60, in training -1.5 to 1.5"),
                    HasSubstr("degrees for radians?")));
  EXPECT_THAT(logged(example(), {900, -1200, 0, 2}), HasSubstr("millimetres for metres?"));
  EXPECT_THAT(logged(example(), {1e7F, 50, 0, 2}), HasSubstr("is this the robot"));
}

TEST(ObservationWatch, OfASingleDimensionItIsEnough) {
  EXPECT_THAT(logged(ObservationWatch(example()), 1, {80}), HasSubstr("state \"grip\": 1 of 1"));
}

TEST(ObservationWatch, SpeaksOnceForAState) {
  const ObservationWatch watch(example());
  EXPECT_THAT(logged(watch, 0, {60, -45, 10, 2}), HasSubstr("arm"));
  EXPECT_THAT(logged(watch, 0, {60, -45, 10, 2}), IsEmpty());
  EXPECT_THAT(logged(watch, 1, {80}), HasSubstr("grip"));
}

TEST(ObservationWatch, LooksAtEveryTimeStep) {
  EXPECT_THAT(logged(example(), {0, 0, 0, 2, 60, -45, 10, 2}), HasSubstr("degrees"));
}

TEST(ObservationWatch, CountsDeviationsWhereMeanAndDeviationNormalise) {
  preprocess::ProcessorConfig config = example();
  config.modalities.state.mean_std_keys = {"arm"};
  EXPECT_THAT(logged(config, {4.9F, -4.9F, 0, 2}), IsEmpty());
  EXPECT_THAT(logged(config, {5.1F, -5.1F, 0, 2}), HasSubstr("2 of 4"));
}

TEST(ObservationWatch, AJointThatHardlyMovedMayMove) {
  preprocess::ProcessorConfig config = example();
  for (size_t i = 0; i < 3; ++i) {
    config.statistics.state["arm"].min[i] = 1.0;
    config.statistics.state["arm"].max[i] = 1.001;
  }
  EXPECT_THAT(logged(config, {1.05F, 1.05F, 1.05F, 2}), IsEmpty());
}

TEST(ObservationWatch, StatisticsThatSayNothingAreNotHeldAgainstAnyone) {
  preprocess::ProcessorConfig config = example();
  config.apply_sincos_state_encoding = true;
  config.modalities.state.sin_cos_keys = {"arm"};
  config.statistics.state["arm"].max = {kNan, kNan, kNan, kNan};
  EXPECT_THAT(logged(config, {6000, 6000, 6000, 6000}), IsEmpty());
}

TEST(ObservationWatch, BlackFramesAreRemarkedOnOnce) {
  const ObservationWatch watch(example());
  std::vector<uint8_t> pixels(3 * 4 * 5, 1);
  pixels.back() = 2;
  const Frame frame{pixels.data(), 4, 5};
  testing::internal::CaptureStderr();
  watch.see_frame(0, frame);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), IsEmpty());
  pixels.back() = 0;
  testing::internal::CaptureStderr();
  watch.see_frame(0, frame);
  watch.see_frame(0, frame);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("warning: camera \"front\""));
  EXPECT_EQ(text.find("warning"), text.rfind("warning"));
}

TEST(ObservationWatch, ManyThreadsSayItOnce) {
  const ObservationWatch watch(example());
  const std::vector<float> values{60, -45, 10, 2};
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { watch.see_state(0, values); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("warning"), text.rfind("warning"));
  EXPECT_THAT(text, HasSubstr("degrees"));
}

}  // namespace
}  // namespace sinew::policy
