// The verbs that need no golden figures: what they print, and the program's own words.
#include "end_to_end/program.h"
#include "io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sinew::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Program, HelpVersionAndUnknownWords) {
  EXPECT_THAT(run_sinew({"--version"}).out, testing::StartsWith("sinew "));
  const Outcome help = run_sinew({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("infer"), HasSubstr("doctor"), Not(HasSubstr("serve"))));
  EXPECT_EQ(run_sinew({"eval", "--help"}).exit_code, 0);
  EXPECT_EQ(run_sinew({}).exit_code, 2);
  const Outcome typo = run_sinew({"evla"});
  EXPECT_EQ(typo.exit_code, 2);
  EXPECT_THAT(typo.err, HasSubstr("did you mean \"eval\"?"));
  const Outcome later = run_sinew({"serve", "checkpoint"});
  EXPECT_EQ(later.exit_code, 2);
  EXPECT_THAT(later.err, HasSubstr("not part of this version"));
  const Outcome flag = run_sinew({"eval", "--trajids", "0"});
  EXPECT_EQ(flag.exit_code, 2);
  EXPECT_THAT(flag.err, HasSubstr("--traj-ids"));
}

TEST(Program, AResultThatNobodyTakesIsAFailure) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--version"},
                                                {"--help"},
                                                {"eval", "--help"},
                                                {"doctor"},
                                                {"inspect", kGolden / "dataset"}}) {
    const Outcome outcome = run_sinew(words, "/dev/full");
    EXPECT_EQ(outcome.exit_code, 1) << words.front();
    EXPECT_THAT(outcome.err, HasSubstr("stdout cannot be written")) << words.front();
  }
}

TEST(Inspect, CheckpointShowsConfigurationWithOrigins) {
  const Outcome outcome =
      run_sinew({"inspect", kNano, "--vlm-path", kEagle, "--embodiment-tag", "new_embodiment",
                 "--dataset-path", kGolden / "dataset", "--tensors", "--memory", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const io::Json json = json_of(outcome);
  EXPECT_GT(json["checkpoint"]["parameters"].get<int64_t>(), 1000);
  EXPECT_EQ(json["tensors"].size(), json["checkpoint"]["tensors"].get<size_t>());
  EXPECT_TRUE(json["embodiments"].contains("new_embodiment"));
  EXPECT_EQ(json["statistics"]["state"]["single_arm"]["min"].size(), 6U);
  EXPECT_FALSE(json["config"].empty());
  for (const auto& [name, row] : json["config"].items()) {
    EXPECT_FALSE(row["origin"].get<std::string>().empty()) << name;
  }
  EXPECT_GT(json["memory"]["weights"].get<int64_t>(), 0);
}

TEST(Inspect, FlagsMoveTheResolvedConfiguration) {
  const auto config = [](const std::string& flag, const std::string& value) {
    io::Json shown = json_of(run_sinew({"inspect", kNano, "--vlm-path", kEagle, "--embodiment-tag",
                                        "new_embodiment", "--json", flag, value}))["config"];
    EXPECT_TRUE(shown.is_object()) << flag;  // a refused flag shows no configuration
    return shown;
  };
  const io::Json base = config("--device", "cpu");
  EXPECT_NE(base, config("--denoising-steps", "2"));
  EXPECT_NE(base, config("--horizon", "20"));
  EXPECT_NE(base, config("--rope-inv-freq", "bf16"));
}

TEST(Inspect, PlanOfEveryStage) {
  for (const char* stage : {"0", "4"}) {
    const Outcome outcome = run_sinew({"inspect", kNano, "--vlm-path", kEagle, "--embodiment-tag",
                                       "new_embodiment", "--plan", "--stage", stage});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("plan, stage"));
  }
  EXPECT_EQ(run_sinew({"inspect", kNano, "--stage", "1"}).exit_code, 2);
  EXPECT_EQ(run_sinew({"inspect", kNano, "--plan", "--stage", "5"}).exit_code, 2);
}

TEST(Inspect, Dataset) {
  const Outcome outcome = run_sinew({"inspect", "examples/reach/datasets/reach-eval", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const io::Json json = json_of(outcome);
  EXPECT_EQ(json["dataset"]["episodes"], 6);
  EXPECT_EQ(json["groups"]["action"]["single_arm"]["joints"].size(), 4U);
  EXPECT_EQ(run_sinew({"inspect", "examples/reach/datasets/reach-eval", "--plan"}).exit_code, 2);
}

class Stats : public testing::Test {
 protected:
  Stats() : data_(folder_ / "data") {
    std::filesystem::copy(kGolden / "dataset", data_, std::filesystem::copy_options::recursive);
    std::filesystem::remove(data_ / "meta/stats.json");
    std::filesystem::remove(data_ / "meta/relative_stats.json");
    const io::Json config = read_golden_json(kNano / "processor_config.json");
    EXPECT_TRUE(io::write_file_atomic(folder_ / "modality.json",
                                      config["processor_kwargs"]["modality_configs"].dump())
                    .ok());
  }

  Outcome run(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"stats", data_, "--embodiment-tag", "NEW_EMBODIMENT"});
    return run_sinew(more);
  }

  TempFolder folder_;
  std::filesystem::path data_;
};

TEST_F(Stats, WritesBothFilesAndKeepsCompleteOnes) {
  const Outcome first = run({"--modality-config-path", folder_ / "modality.json"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const io::Json got = read_golden_json(data_ / "meta/stats.json");
  const io::Json want = read_golden_json(kGolden / "dataset/meta/stats.json");
  for (const auto& [feature, statistics] : want.items()) {
    for (const auto& [name, values] : statistics.items()) {
      const auto expected = values.get<std::vector<double>>();
      const auto found = got[feature][name].get<std::vector<double>>();
      ASSERT_EQ(found.size(), expected.size()) << feature << " " << name;
      for (size_t i = 0; i < expected.size(); ++i) {
        const double spread = statistics["std"][i].get<double>();
        EXPECT_NEAR(found[i], expected[i], std::max(1e-5 * std::abs(expected[i]), 1e-4 * spread))
            << feature << " " << name;
      }
    }
  }
  EXPECT_TRUE(read_golden_json(data_ / "meta/relative_stats.json").contains("single_arm"));
  const Outcome second = run({"--modality-config-path", folder_ / "modality.json", "--json"});
  EXPECT_FALSE(json_of(second)["files"][0]["written"].get<bool>());
  const Outcome refreshed =
      run({"--modality-config-path", folder_ / "modality.json", "--refresh", "--json"});
  EXPECT_TRUE(json_of(refreshed)["files"][0]["written"].get<bool>());
}

TEST_F(Stats, ComparesWithACheckpointAndWritesNothing) {
  const Outcome outcome = run({"--compare", kNano, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_FALSE(json_of(outcome)["differences"].empty());
  EXPECT_FALSE(std::filesystem::exists(data_ / "meta/stats.json"));
  const double largest =
      json_of(outcome)["largest"].is_null() ? 1 : json_of(outcome)["largest"].get<double>();
  EXPECT_EQ(
      run({"--compare", kNano, "--max-difference", std::to_string(largest * 2 + 1)}).exit_code,
      json_of(outcome)["largest"].is_null() ? 5 : 0);
  if (largest > 0) {
    EXPECT_EQ(run({"--compare", kNano, "--max-difference", "0"}).exit_code, 5);
  }
}

TEST_F(Stats, SaysThatAFlatConfigurationNeedsNoTag) {
  const io::Json config = read_golden_json(folder_ / "modality.json");
  ASSERT_TRUE(io::write_file_atomic(folder_ / "flat.json", config["new_embodiment"].dump()).ok());
  const Outcome outcome = run({"--modality-config-path", folder_ / "flat.json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("--embodiment-tag is ignored"));
}

TEST_F(Stats, RefusesWhatItCannotUse) {
  EXPECT_EQ(run_sinew({"stats"}).exit_code, 2);
  EXPECT_EQ(run_sinew({"stats", folder_ / "none"}).exit_code, 3);
  EXPECT_EQ(run({"--max-difference", "1"}).exit_code, 2);
  ASSERT_TRUE(io::write_file_atomic(data_ / "meta/stats.json", "[1, 2]").ok());
  const Outcome broken = run({"--modality-config-path", folder_ / "modality.json"});
  EXPECT_EQ(broken.exit_code, 3);
  EXPECT_THAT(broken.err, HasSubstr("--refresh"));
  EXPECT_EQ(run({"--modality-config-path", folder_ / "none.json"}).exit_code, 3);
}

TEST(Doctor, SaysWhatThisMachineHasAndWhatToDo) {
  const Outcome people = run_sinew({"doctor"});
  EXPECT_EQ(people.exit_code, 0);
  EXPECT_THAT(people.out, AllOf(HasSubstr("CPU"), HasSubstr("CUDA back end"), HasSubstr("libarrow"),
                                HasSubstr("libavcodec")));
  const io::Json json = json_of(run_sinew({"doctor", "--json"}));
  EXPECT_GT(json["cores"]["usable"].get<int>(), 0);
  EXPECT_GT(json["findings"].size(), 5U);
}

}  // namespace
}  // namespace sinew::test
