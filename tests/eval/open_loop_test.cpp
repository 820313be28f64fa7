#include "eval/open_loop.h"

#include "eval/fakes.h"
#include "eval/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sinew::eval {
namespace {

using test::FakeDataset;
using test::ReplaySource;
using testing::ElementsAre;
using testing::HasSubstr;

Result<OpenLoopReport> run(ChunkSource& source, const FakeDataset& data,
                           const OpenLoopOptions& options) {
  NoiseSequence no_noise;
  return evaluate_open_loop(source, data, options, no_noise);
}

TEST(OpenLoop, PredictingTheRecordedActionsGivesZero) {
  ReplaySource source(0);
  const Result<OpenLoopReport> report = run(source, FakeDataset({50}), {});
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report.value().average.mse, 0);
  EXPECT_EQ(report.value().average.mae, 0);
}

TEST(OpenLoop, AConstantOffsetGivesItsSquare) {
  constexpr float kOffset = 0.25F;  // exact, but its sum with the recorded value is rounded
  ReplaySource source(kOffset);
  const Result<OpenLoopReport> report = run(source, FakeDataset({50}), {});
  ASSERT_TRUE(report.ok());
  EXPECT_NEAR(report.value().average.mse, 0.0625, 1e-7);
  EXPECT_NEAR(report.value().average.mae, 0.25, 1e-7);
  for (const KeyError& key : report.value().per_key) {
    EXPECT_NEAR(key.error.mse, 0.0625, 1e-7) << key.key;
  }
}

TEST(OpenLoop, StridesBySixteenRowsUnlessTold) {
  ReplaySource source(0);
  const Result<OpenLoopReport> report = run(source, FakeDataset({50}), {});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report.value().action_horizon, 16);
  EXPECT_THAT(source.rows(), ElementsAre(0, 16, 32, 48));

  ReplaySource every_ten(0);
  OpenLoopOptions options;
  options.action_horizon = 10;
  options.max_steps = 25;
  ASSERT_TRUE(run(every_ten, FakeDataset({50}), options).ok());
  EXPECT_THAT(every_ten.rows(), ElementsAre(0, 10, 20));
}

TEST(OpenLoop, ComparesAtMostTheStepsAskedForAndTheEpisodesRows) {
  ReplaySource source(1);
  OpenLoopOptions options;
  options.max_steps = 25;
  options.trajectories = {0, 1};
  const Result<OpenLoopReport> report = run(source, FakeDataset({50, 7}), options);
  ASSERT_TRUE(report.ok());
  const TrajectoryResult& first = report.value().trajectories[0];
  EXPECT_EQ(first.steps, 25);
  EXPECT_EQ(first.recorded.size(), 75U);
  EXPECT_EQ(first.recorded[0], test::recorded_value("arm", 0, 0));
  EXPECT_EQ(first.recorded[3 * 24 + 2], test::recorded_value("grip", 24, 0));
  EXPECT_EQ(report.value().trajectories[1].steps, 7);
  EXPECT_EQ(report.value().trajectories[1].calls, 1);
}

TEST(OpenLoop, StatesAreShownOnlyWhereShapesAgree) {
  ReplaySource source(0);
  const Result<OpenLoopReport> whole = run(source, FakeDataset({30}), {});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole.value().trajectories[0].state.size(), 90U);

  OpenLoopOptions part;
  part.max_steps = 29;
  EXPECT_TRUE(run(source, FakeDataset({30}), part).value().trajectories[0].state.empty());
  OpenLoopOptions one_key;
  one_key.action_keys = {"arm"};
  EXPECT_TRUE(run(source, FakeDataset({30}), one_key).value().trajectories[0].state.empty());
}

TEST(OpenLoop, KeysInTheOrderAskedFor) {
  ReplaySource source(0);
  OpenLoopOptions options;
  options.action_keys = {"grip", "arm"};
  const Result<OpenLoopReport> report = run(source, FakeDataset({30}), options);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report.value().average.mse, 0);
  EXPECT_EQ(report.value().keys[0].key, "grip");
  EXPECT_EQ(report.value().trajectories[0].recorded[0], test::recorded_value("grip", 0, 0));
}

TEST(OpenLoop, TitlesUseJointNames) {
  ReplaySource source(0);
  const Result<OpenLoopReport> report = run(source, FakeDataset({30}), {});
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report.value().keys[0].titles, ElementsAre("arm[0] (shoulder)", "arm[1] (elbow)"));
  EXPECT_THAT(report.value().keys[1].titles, ElementsAre("grip"));
}

TEST(OpenLoop, AveragesTrajectoriesWithoutTheirLengths) {
  // Wrong by 1 in the first trajectory's 40 rows and by 1 in the second's 10: the plain mean is the
  // same, so an error that depends on the row is needed.
  class GrowingSource : public ReplaySource {
   public:
    GrowingSource() : ReplaySource(0) {}

    Status act(const Observation& observation, ActionChunk& chunk) override {
      SINEW_TRY(ReplaySource::act(observation, chunk));
      for (ActionValues& action : chunk.actions) {
        for (float& value : action.values) {
          value += rows().back() == 0 ? 1.0F : 3.0F;
        }
      }
      return {};
    }
  };

  GrowingSource source;
  OpenLoopOptions options;
  options.trajectories = {0, 1};
  options.action_horizon = 10;
  const Result<OpenLoopReport> report = run(source, FakeDataset({40, 10}), options);
  ASSERT_TRUE(report.ok());
  EXPECT_NEAR(report.value().trajectories[0].error.mae, 2.5, 1e-6);
  EXPECT_NEAR(report.value().trajectories[1].error.mae, 1, 1e-6);
  EXPECT_NEAR(report.value().average.mae, 1.75, 1e-6);
}

TEST(OpenLoop, SkipsTheFirstCallsOfEachTrajectoryInTheTiming) {
  ReplaySource source(0);
  OpenLoopOptions options;
  options.trajectories = {0, 1};
  options.skip_timing_steps = 2;
  const Result<OpenLoopReport> report = run(source, FakeDataset({48, 64}), options);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report.value().latency.count, 1 + 2);
  EXPECT_EQ(report.value().data.count, 3);
  EXPECT_DOUBLE_EQ(report.value().mean_timings.end_to_end_ms, 2);

  options.skip_timing_steps = 9;
  const Result<OpenLoopReport> nothing = run(source, FakeDataset({48, 64}), options);
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing.value().latency.count, 0);
  EXPECT_TRUE(report_json(nothing.value(), true)["latency_ms"]["mean"].is_null());
}

TEST(OpenLoop, NoiseGoesOnFromTrajectoryToTrajectory) {
  ReplaySource source(0);
  const auto size = static_cast<size_t>(source.info().horizon * source.info().max_action_dim);
  std::vector<float> values(3 * size);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i / size);
  }
  NoiseSequence noise(values, 3, source.info().horizon, source.info().max_action_dim);
  OpenLoopOptions options;
  options.trajectories = {0, 1};
  ASSERT_TRUE(evaluate_open_loop(source, FakeDataset({20, 40}), options, noise).ok());
  std::vector<float> seen;
  for (const std::vector<float>& entry : source.noise()) {
    ASSERT_EQ(entry.size(), size);
    seen.push_back(entry.front());
  }
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 0, 1));
}

TEST(OpenLoop, SkipsTrajectoriesBeyondTheDataSet) {
  ReplaySource source(0);
  OpenLoopOptions options;
  options.trajectories = {5, 0};
  const Result<OpenLoopReport> report = run(source, FakeDataset({20}), options);
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report.value().skipped, ElementsAre(5));
  EXPECT_EQ(report.value().trajectories.size(), 1U);

  options.trajectories = {5};
  EXPECT_EQ(run(source, FakeDataset({20}), options).status().code(), Code::kBadInput);
}

TEST(OpenLoop, RefusesMoreRowsThanPredictedNamingBoth) {
  ReplaySource source(0);
  OpenLoopOptions options;
  options.action_horizon = 21;
  const Status status = run(source, FakeDataset({50}), options).status();
  EXPECT_EQ(status.code(), Code::kUsage);
  EXPECT_THAT(status.message(), testing::AllOf(HasSubstr("21"), HasSubstr("20")));
}

TEST(OpenLoop, RefusesUnknownKeysListingTheKnown) {
  ReplaySource source(0);
  OpenLoopOptions options;
  options.action_keys = {"leg"};
  const Status status = run(source, FakeDataset({50}), options).status();
  EXPECT_EQ(status.code(), Code::kUsage);
  EXPECT_THAT(status.message(), testing::AllOf(HasSubstr("leg"), HasSubstr("arm, grip")));
}

TEST(OpenLoop, RefusesAKeyNamedTwice) {
  ReplaySource source(0);
  OpenLoopOptions options;
  options.action_keys = {"arm", "grip", "arm"};
  const Result<OpenLoopReport> report = run(source, FakeDataset({50}), options);
  ASSERT_EQ(report.status().code(), Code::kUsage);
  EXPECT_THAT(report.status().message(), HasSubstr("\"arm\" is named twice"));
}

TEST(OpenLoop, NothingTimedIsNullAndNotZero) {
  ReplaySource source(0);
  OpenLoopOptions options;
  options.skip_timing_steps = 9;
  const Result<OpenLoopReport> report = run(source, FakeDataset({50}), options);
  ASSERT_TRUE(report.ok());
  const io::Json json = report_json(report.value(), true);
  EXPECT_TRUE(json["components_ms"].is_null());
  EXPECT_TRUE(json["latency_ms"]["mean"].is_null());
}

TEST(OpenLoop, SaysWhereASourceFailed) {
  class FailingSource : public ReplaySource {
   public:
    FailingSource() : ReplaySource(0) {}

    Status act(const Observation& observation, ActionChunk& chunk) override {
      SINEW_TRY(ReplaySource::act(observation, chunk));
      return rows().back() == 16 ? internal_error("broken") : Status();
    }
  };

  FailingSource source;
  const Status status = run(source, FakeDataset({50}), {}).status();
  EXPECT_EQ(status.message(), "trajectory 0: step 16: broken");
}

TEST(OpenLoop, ReportHasTheKeysOfTheContract) {
  ReplaySource source(0.5F);
  const Result<OpenLoopReport> report = run(source, FakeDataset({50}), {});
  ASSERT_TRUE(report.ok());
  const io::Json json = report_json(report.value(), true);
  EXPECT_NEAR(json["mse"].get<double>(), 0.25, 1e-6);
  EXPECT_NEAR(json["trajectories"][0]["per_key"]["grip"]["mae"].get<double>(), 0.5, 1e-6);
  EXPECT_EQ(json["trajectories"][0]["id"], 0);
  EXPECT_EQ(json["trajectories"][0]["episode_index"], 100);
  EXPECT_EQ(json["trajectories"][0]["steps"], 50);
  for (const char* name : {"mean", "min", "max", "p50", "p90", "p99"}) {
    EXPECT_TRUE(json["latency_ms"][name].is_number()) << name;
  }
  EXPECT_EQ(json["trajectories"][0]["memory_bytes"]["columns"], 1000);
  EXPECT_FALSE(report_json(report.value(), false).contains("mse"));
}

}  // namespace
}  // namespace sinew::eval
