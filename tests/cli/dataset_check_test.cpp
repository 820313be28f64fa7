// What is said of a data set before an evaluation: each finding where there is something to find,
// and silence on the right one.
#include "cli/dataset_check.h"

#include "io/checkpoint.h"
#include "io/file.h"
#include "io/json.h"
#include "support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sinew::cli {
namespace {

using io::Json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kPosition = 1;
using Colour = std::array<double, 3>;

// A copy of the demo data set, and the demo policy's configuration.
class DatasetCheck : public testing::Test {
 protected:
  DatasetCheck() {
    std::filesystem::copy("examples/reach/datasets/reach-eval", folder_.path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    const auto checkpoint = io::Checkpoint::open("examples/reach/checkpoints/reach-nano").value();
    config_ = preprocess::resolve_processor_config(checkpoint, {}).value();
  }

  void edit(const char* file, const std::function<void(Json&)>& change) {
    const std::filesystem::path path = folder_ / file;
    Json json = io::read_json_file(path).value();
    change(json);
    ASSERT_TRUE(io::write_file_atomic(path, json.dump()).ok());
  }

  std::vector<std::string> warnings() {
    const auto data = dataset::Dataset::open(folder_.path());
    EXPECT_TRUE(data.ok()) << data.status().message();
    return check_dataset(*data.value(), config_, kPosition);
  }

  // The mean colour of the whole episode's frames.
  Colour true_colour(const std::string& camera) {
    const auto data = dataset::Dataset::open(folder_.path()).value();
    const auto episode = data->open_episode(kPosition).value();
    Colour sum{};
    for (int64_t row = 0; row < episode->length(); ++row) {
      const preprocess::Image image = episode->frame(camera, row).value();
      for (size_t i = 0; i < image.pixels.size(); ++i) {
        sum[i % 3] += image.pixels[i];
      }
      if (row + 1 == episode->length()) {
        for (double& channel : sum) {
          channel /=
              255.0 * static_cast<double>(image.pixels.size() / 3) * static_cast<double>(row + 1);
        }
      }
    }
    return sum;
  }

  static Json nested(const Colour& c, double scale = 1) {
    return {{"mean", {{{scale * c[0]}}, {{scale * c[1]}}, {{scale * c[2]}}}}};
  }

  void write_colours(const Colour& front, const Colour& wrist, double scale = 1) {
    edit("meta/stats.json", [&](Json& json) {
      json["observation.images.front"] = nested(front, scale);
      json["observation.images.wrist"] = nested(wrist, scale);
    });
  }

  test::TempFolder folder_;
  preprocess::ProcessorConfig config_;
};

Colour reversed(const Colour& colour) {
  return {colour[2], colour[1], colour[0]};
}

TEST_F(DatasetCheck, TheRightOneIsNotRemarkedOn) {
  EXPECT_THAT(warnings(), IsEmpty());
  write_colours(true_colour("front"), true_colour("wrist"));
  EXPECT_THAT(warnings(), IsEmpty());
  write_colours(true_colour("front"), true_colour("wrist"), 255);
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(DatasetCheck, ExchangedChannelsAreSeenInTheMeanColours) {
  write_colours(reversed(true_colour("front")), true_colour("wrist"));
  EXPECT_THAT(warnings(), ElementsAre(AllOf(HasSubstr("camera \"front\": red and blue look"),
                                            HasSubstr("BGR"))));
}

TEST_F(DatasetCheck, ExchangedCamerasAreSeenInTheMeanColours) {
  write_colours(true_colour("wrist"), true_colour("front"));
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("cameras \"front\" and \"wrist\" look exchanged")));
}

TEST_F(DatasetCheck, StatisticsOfTheEpisodeGoBeforeThoseOfAll) {
  write_colours(reversed(true_colour("front")), true_colour("wrist"));
  const Json other{{"episode_index", 0}, {"stats", {{"observation.images.front", {}}}}};
  const Json own{{"episode_index", kPosition},
                 {"stats", {{"observation.images.front", nested(true_colour("front"))}}}};
  ASSERT_TRUE(io::write_file_atomic(folder_ / "meta/episodes_stats.jsonl",
                                    other.dump() + "\n" + own.dump() + "\n")
                  .ok());
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(DatasetCheck, BrokenImageStatisticsAreNoStatistics) {
  ASSERT_TRUE(
      io::write_file_atomic(folder_ / "meta/episodes_stats.jsonl", "{\n[]\n{\"stats\": 3}").ok());
  for (const Json& mean :
       {Json(3), Json{1, 2}, Json{"a", "b", "c"}, Json{{1, 2}, {3}, {4}}, Json(nullptr)}) {
    edit("meta/stats.json", [&](Json& json) {
      json["observation.images.front"] = {{"mean", mean}};
    });
    EXPECT_THAT(warnings(), IsEmpty()) << mean.dump();
  }
}

TEST_F(DatasetCheck, UnitsAreSeenInBothDirections) {
  const auto scale = [&](double factor) {
    edit("meta/stats.json", [&](Json& json) {
      for (const char* const column : {"observation.state", "action"}) {
        for (auto& [name, values] : json[column].items()) {
          for (Json& value : values) {
            value = value.get<double>() * factor;
          }
        }
      }
    });
  };
  scale(57.29578);
  EXPECT_THAT(warnings(), Contains(AllOf(HasSubstr("state \"single_arm\""),
                                         HasSubstr("the data set in degrees"))));
  scale(1 / (57.29578 * 57.29578));
  EXPECT_THAT(warnings(), Contains(AllOf(HasSubstr("action \"single_arm\""),
                                         HasSubstr("the data set in radians"))));
}

TEST_F(DatasetCheck, AWiderSpreadIsAnotherRobots) {
  edit("meta/stats.json", [](Json& json) { json["observation.state"]["std"][3] = 4; });
  EXPECT_THAT(warnings(), ElementsAre(AllOf(HasSubstr("state \"single_arm\""),
                                            HasSubstr("std of dimension 3 (wrist.pos) is 4"))));
}

TEST_F(DatasetCheck, WhatTheDataSetDoesNotSayIsNotCompared) {
  std::filesystem::remove(folder_ / "meta/stats.json");
  EXPECT_THAT(warnings(), IsEmpty());
  ASSERT_TRUE(io::write_file_atomic(folder_ / "meta/stats.json", "[1, 2]").ok());
  EXPECT_THAT(warnings(), IsEmpty());
  ASSERT_TRUE(io::write_file_atomic(folder_ / "meta/stats.json", "{\"action\": {}}").ok());
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(DatasetCheck, RobotsOfOtherNamesAreNotJudged) {
  const auto robot = [&](const char* type) {
    edit("meta/info.json", [&](Json& json) { json["robot_type"] = type; });
  };
  robot("Unitree_G1");
  EXPECT_THAT(warnings(), IsEmpty());  // the policy runs as new_embodiment, which may be anything
  config_.embodiment_tag = "libero_panda";
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("unitree_g1")));
  for (const char* const type : {"panda", "so101_follower", "", "franka-panda", "oxe"}) {
    robot(type);
    EXPECT_THAT(warnings(), IsEmpty()) << type;
  }
}

TEST_F(DatasetCheck, FrameRates) {
  edit("meta/info.json", [](Json& json) { json["fps"] = 10; });
  EXPECT_THAT(warnings(), AllOf(Contains(HasSubstr("time stamps of episode 1 20: a chunk")),
                                Contains(HasSubstr("moves slower")),
                                Contains(HasSubstr("camera \"wrist\": meta/info.json says"))));
}

}  // namespace
}  // namespace sinew::cli
