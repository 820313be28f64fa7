// Every flag of every verb: it parses under all its names, and giving it changes the resolved
// options, or says that it is ignored or refused.
#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/flag_value.h"
#include "cli/options.h"
#include "cli/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sinew::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Words = std::vector<std::string>;

// A verb's options with their flags, type-erased.
struct Fixture {
  std::shared_ptr<void> options;
  FlagList flags;
};

template <class Options>
Fixture make() {
  auto options = std::make_shared<Options>();
  Fixture fixture;
  declare_flags(fixture.flags, *options);
  fixture.options = options;
  return fixture;
}

const std::map<std::string, std::function<Fixture()>>& verbs() {
  static const std::map<std::string, std::function<Fixture()>> kVerbs{
      {"infer", make<InferOptions>},     {"eval", make<EvalOptions>},
      {"inspect", make<InspectOptions>}, {"stats", make<StatsOptions>},
      {"doctor", make<DoctorOptions>},   {"bench", make<BenchOptions>},
      {"synth", make<SynthOptions>}};
  return kVerbs;
}

// A value for the flag that is not its default.
std::string other_value(const Flag& flag) {
  const std::string now = flag_text(flag);
  for (const std::string& choice : flag.choice_list) {
    if (choice != now) {
      return choice;
    }
  }
  if (std::holds_alternative<std::string*>(flag.target) ||
      std::holds_alternative<std::vector<std::string>*>(flag.target)) {
    return "some/value";
  }
  return now == "3" ? "4" : "3";
}

TEST(Flags, EachOneHasAnEffectOrSaysWhyNot) {
  for (const auto& [verb, make_fixture] : verbs()) {
    const Fixture untouched = make_fixture();
    const io::Json defaults = options_json(untouched.flags);
    for (const Flag& described : untouched.flags.flags()) {
      Fixture fixture = make_fixture();
      Words words{"--" + described.name};
      if (described.is_switch()) {
        words[0] = flag_text(described) == "true" ? "--no-" + described.name : words[0];
      } else {
        words.push_back(other_value(described));
      }
      const Status status = parse_flags(verb, words, fixture.flags);
      ASSERT_TRUE(status.ok()) << verb << ": " << status.message();
      const io::Json now = options_json(fixture.flags);
      EXPECT_NE(now[described.name], defaults[described.name]) << verb << " --" << described.name;
      for (const auto& [name, value] : now.items()) {
        if (name != described.name) {
          EXPECT_EQ(value, defaults[name]) << verb << ": --" << described.name << " moved " << name;
        }
      }
      testing::internal::CaptureStderr();
      const Status effect = report_effects(fixture.flags);
      const std::string log = testing::internal::GetCapturedStderr();
      switch (described.effect) {
        case FlagEffect::kUsed:
          EXPECT_TRUE(effect.ok() && log.empty()) << verb << " --" << described.name;
          break;
        case FlagEffect::kIgnored:
          EXPECT_TRUE(effect.ok());
          EXPECT_THAT(log, AllOf(HasSubstr("--" + described.name), HasSubstr("ignored")));
          break;
        case FlagEffect::kRefused:
          EXPECT_EQ(effect.code(), Code::kUnsupported) << verb << " --" << described.name;
          break;
      }
    }
  }
}

TEST(Flags, AliasesAndUnderscoresAreTheSameFlag) {
  for (const auto& [verb, make_fixture] : verbs()) {
    const Fixture untouched = make_fixture();
    for (const Flag& described : untouched.flags.flags()) {
      std::vector<std::string> names = described.alias_names;
      std::string underscored = described.name;
      std::replace(underscored.begin(), underscored.end(), '-', '_');
      names.push_back(underscored);
      for (const std::string& name : names) {
        Fixture fixture = make_fixture();
        Words words{(name.size() == 1 ? "-" : "--") + name};
        if (!described.is_switch()) {
          words[0] += "=" + other_value(described);
        }
        const Status status = parse_flags(verb, words, fixture.flags);
        EXPECT_TRUE(status.ok()) << verb << " " << words[0] << ": " << status.message();
        EXPECT_TRUE(fixture.flags.given(described.name)) << verb << " " << words[0];
      }
    }
  }
}

TEST(Flags, HelpNamesEveryFlag) {
  for (const auto& [verb, make_fixture] : verbs()) {
    const Fixture fixture = make_fixture();
    const std::string help = help_text(verb, "summary", fixture.flags);
    for (const Flag& flag : fixture.flags.flags()) {
      EXPECT_THAT(help, HasSubstr("--" + flag.name)) << verb;
      EXPECT_FALSE(flag.help.empty()) << verb << " --" << flag.name;
    }
    for (size_t start = 0; start < help.size();) {
      const size_t end = std::min(help.find('\n', start), help.size());
      EXPECT_LE(end - start, 100U) << help.substr(start, end - start);
      start = end + 1;
    }
  }
}

EvalOptions parse_eval(const Words& words) {
  EvalOptions options;
  FlagList flags;
  declare_flags(flags, options);
  const Status status = parse_flags("eval", words, flags);
  EXPECT_TRUE(status.ok()) << status.message();
  return options;
}

// The rows of spec/dataset.md section 7 that belong to the open-loop and standalone scripts, in the
// spelling of their own documentation.
TEST(Flags, TheOriginalsCommandLinesParse) {
  const EvalOptions open_loop = parse_eval({"--dataset-path",
                                            "demo_data/cube_to_bowl_5/",
                                            "--embodiment-tag",
                                            "NEW_EMBODIMENT",
                                            "--model-path",
                                            "ckpt",
                                            "--traj-ids",
                                            "0",
                                            "1",
                                            "2",
                                            "--action-horizon",
                                            "16",
                                            "--steps",
                                            "400",
                                            "--denoising-steps",
                                            "4",
                                            "--modality-keys",
                                            "single_arm",
                                            "gripper",
                                            "--host",
                                            "127.0.0.1",
                                            "--port",
                                            "5555",
                                            "--save-plot-path",
                                            "a.png",
                                            "--inference-mode",
                                            "pytorch",
                                            "--trt-engine-path",
                                            "x.trt",
                                            "--backbone-trt-engine-path",
                                            "y.trt",
                                            "--attn-implementation",
                                            "sdpa"});
  EXPECT_EQ(open_loop.model.policy.model_path, "ckpt");
  EXPECT_THAT(open_loop.traj_ids, testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(open_loop.modality_keys, testing::ElementsAre("single_arm", "gripper"));
  EXPECT_EQ(open_loop.action_horizon, 16);
  EXPECT_EQ(open_loop.model.policy.denoising_steps, 4);

  const EvalOptions standalone = parse_eval(
      {"--model_path=ckpt", "--dataset_path", "demo_data/robot_sim.PickNPlace/", "--embodiment_tag",
       "GR1", "--video_backend", "decord", "--skip_timing_steps", "2", "--no-get-performance-stats",
       "--seed", "7", "--trt-use-fp16", "--traj_ids=0,1"});
  EXPECT_EQ(standalone.skip_timing_steps, 2);
  EXPECT_FALSE(standalone.get_performance_stats);
  EXPECT_EQ(standalone.model.policy.seed, 7U);
  EXPECT_THAT(standalone.traj_ids, testing::ElementsAre(0, 1));
  EXPECT_EQ(parse_eval({"ckpt", "--get_performance_stats"}).get_performance_stats, true);

  StatsOptions stats;
  FlagList flags;
  declare_flags(flags, stats);
  ASSERT_TRUE(parse_flags("stats",
                          Words{"--dataset_path", "data", "--embodiment_tag", "NEW_EMBODIMENT",
                                "--modality_config_path", "m.json"},
                          flags)
                  .ok());
  EXPECT_EQ(stats.modality_config_path, "m.json");
}

TEST(Flags, ThePositionalMayComeFirstOrLast) {
  EXPECT_EQ(parse_eval({"ckpt", "--steps", "3"}).model.policy.model_path, "ckpt");
  EXPECT_EQ(parse_eval({"--steps", "3", "ckpt"}).model.policy.model_path, "ckpt");
  EXPECT_EQ(parse_eval({"ckpt", "--dataset-path", "a_b/c_d"}).dataset_path, "a_b/c_d");
}

struct BadCase {
  Words words;
  std::string expected;
};

TEST(Flags, UsageErrorsNameTheFlagAndTheRemedy) {
  const std::vector<BadCase> cases{
      {{"--stepz", "3"}, "did you mean --steps?"},
      {{"--traj_id", "3"}, "did you mean --traj-ids?"},
      {{"--qqqqqqqq"}, "sinew eval --help"},
      {{"ckpt", "another"}, "unexpected argument \"another\""},
      {{"--steps", "many"}, "--steps: expected an integer, found \"many\""},
      {{"--steps", "0"}, "--steps: expected at least 1"},
      {{"--steps", "99999999999999999999"}, "--steps: expected an integer"},
      {{"--steps", "3.5"}, "--steps: expected an integer"},
      {{"--seed=-1"}, "--seed: expected an integer of at least 0"},
      {{"--steps"}, "--steps"},
      {{"--steps", "1", "--steps", "2"}, "--steps is given 2 times (1, 2); give it once"},
      {{"a", "--model-path", "b"}, "--model-path is given 2 times"},
      {{"--save-actions", "--json"}, "--save-actions: a value is missing, --json follows"},
      {{"--dataset", "--save_actions=a.npy"}, "--dataset-path: a value is missing"},
      {{"--precision", "fp12"}, "--precision: expected one of auto, fp32"},
      {{"--inference-mode", "onnx"}, "--inference-mode: expected one of"},
      {{"--index-mode", "wrap"}, "clamp, python"},
      {{"--traj-ids", "0,x"}, "--traj-ids: expected an integer, found \"x\""},
      {{"--dataset-path", ""}, "--dataset-path: the value is empty"},
      {{"--json=maybe"}, "--json"},
      {{std::string(5000, 'x')}, "ckpt"}};
  for (const BadCase& bad : cases) {
    EvalOptions options;
    FlagList flags;
    declare_flags(flags, options);
    Words words = bad.words;
    if (bad.expected == "ckpt") {
      words.push_back("ckpt");  // two positionals, one of them very long
    }
    const Status status = parse_flags("eval", words, flags);
    EXPECT_EQ(status.code(), Code::kUsage) << testing::PrintToString(bad.words);
    EXPECT_THAT(status.message(), HasSubstr(bad.expected));
  }
}

TEST(Flags, NearestNameKnowsTyposSwapsAndBeginnings) {
  const Words names{"infer", "eval", "inspect"};
  EXPECT_EQ(nearest_name("infre", names), "infer");
  EXPECT_EQ(nearest_name("evla", names), "eval");
  EXPECT_EQ(nearest_name("insp", names), "inspect");
  EXPECT_EQ(nearest_name("xylophone", names), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'i'), names), "");
}

TEST(Flags, HelpIsAskedForAnywhere) {
  EXPECT_TRUE(asks_for_help(Words{"ckpt", "--help"}));
  EXPECT_TRUE(asks_for_help(Words{"-h"}));
  EXPECT_FALSE(asks_for_help(Words{"ckpt"}));
}

TEST(ExitCode, OneForEachKindOfFailure) {
  EXPECT_EQ(exit_code(Code::kOk), ExitCode::kOk);
  EXPECT_EQ(exit_code(Code::kInternal), ExitCode::kRuntime);
  EXPECT_EQ(exit_code(Code::kOutOfMemory), ExitCode::kRuntime);
  EXPECT_EQ(static_cast<int>(exit_code(Code::kUsage)), 2);
  EXPECT_EQ(static_cast<int>(exit_code(Code::kBadInput)), 3);
  EXPECT_EQ(static_cast<int>(exit_code(Code::kNotFound)), 3);
  EXPECT_EQ(static_cast<int>(exit_code(Code::kUnsupported)), 4);
  EXPECT_EQ(static_cast<int>(exit_code(Code::kDevice)), 4);
  EXPECT_EQ(static_cast<int>(exit_code(Code::kThreshold)), 5);
}

}  // namespace
}  // namespace sinew::cli
