// `sinew bench`: what it reports, what it refuses, and what it leaves behind.
#include "end_to_end/program.h"
#include "io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace sinew::test {
namespace {

using testing::HasSubstr;

// Temporary folders of the program go where the test can see them.
class Bench : public testing::Test {
 protected:
  Bench() { setenv("TMPDIR", folder_.path().c_str(), 1); }

  ~Bench() override { unsetenv("TMPDIR"); }

  static Outcome run(std::vector<std::string> more) {
    more.insert(more.begin(), "bench");
    more.insert(more.end(), {"--iterations", "3", "--warmup", "1", "--threads", "1"});
    return run_sinew(more);
  }

  bool nothing_is_left() const { return std::filesystem::is_empty(folder_.path()); }

  TempFolder folder_;
};

const io::Json* component(const io::Json& report, const std::string& name) {
  for (const io::Json& c : report["components"]) {
    if (c["name"] == name) {
      return &c;
    }
  }
  return nullptr;
}

TEST_F(Bench, ReportsEveryComponentAgainstItsBound) {
  const Outcome outcome = run({"--synthetic", "nano", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const io::Json report = json_of(outcome);
  EXPECT_EQ(report["synthetic"], "nano");
  int64_t flop = 0;
  for (const char* name :
       {"vision", "language", "action head, once", "denoising step 0", "denoising step 3"}) {
    const io::Json* c = component(report, name);
    ASSERT_NE(c, nullptr) << name;
    EXPECT_GT((*c)["latency_ms"]["p50"].get<double>(), 0) << name;
    EXPECT_EQ((*c)["latency_ms"]["count"], 3) << name;
    EXPECT_GT((*c)["weight_bytes"].get<int64_t>(), 0) << name;
    EXPECT_GT((*c)["fraction_of_bound"].get<double>(), 0) << name;
    flop += (*c)["flop"].get<int64_t>() * (std::string(name) == "denoising step 0" ? 3 : 1);
  }
  for (const char* name : {"preprocess", "tokenise", "decode", "other"}) {
    EXPECT_NE(component(report, name), nullptr) << name;
  }
  const io::Json& whole = *component(report, "end to end");
  EXPECT_EQ(whole["flop"], flop);
  EXPECT_EQ(whole["bound"], "sum");
  EXPECT_GT(whole["bound_ms"].get<double>(),
            (*component(report, "vision"))["bound_ms"].get<double>());
  const double ms = report["throughput"]["ms_per_chunk"].get<double>();
  EXPECT_NEAR(report["throughput"]["actions_per_s"].get<double>(), 16 * 1000 / ms, 0.01);
  EXPECT_GT(report["memory_bytes"]["peak_resident"].get<int64_t>(),
            report["memory_bytes"]["weights"].get<int64_t>());
  EXPECT_GT(report["machine_bounds"]["read_bytes_per_s"].get<double>(), 0);
  EXPECT_GT(report["machine_bounds"]["flop_per_s"].get<double>(), 0);
  for (const char* key :
       {"version", "git_commit", "compiler", "cpu", "cores", "governor", "instruction_sets",
        "kernel", "memory_bytes", "libraries", "load_average", "is_busy"}) {
    EXPECT_TRUE(report["environment"].contains(key)) << key;
  }
  EXPECT_EQ(report["options"]["iterations"], 3);
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Bench, ShapesAreThoseAskedFor) {
  const Outcome outcome =
      run({"--synthetic", "nano", "--views", "3", "--image-size", "256x256", "--text-tokens", "50",
           "--horizon", "20", "--denoising-steps", "2", "--batch", "2", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const io::Json report = json_of(outcome);
  const io::Json& shapes = report["shapes"];
  EXPECT_EQ(shapes["views"], 3);
  EXPECT_EQ(shapes["frame"], io::Json({256, 256}));
  EXPECT_EQ(shapes["image"], io::Json({252, 252}));
  EXPECT_EQ(shapes["image_tokens"], 3 * 81);
  EXPECT_EQ(shapes["text_tokens"], 50);
  EXPECT_EQ(shapes["tokens"], 3 * 81 + 50);
  EXPECT_EQ(shapes["horizon"], 20);
  EXPECT_EQ(shapes["batch"], 2);
  EXPECT_EQ(component(report, "denoising step 2"), nullptr);
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Bench, RunsARealCheckpointAndPrintsATable) {
  const Outcome outcome = run({kNano, "--vlm-path", kEagle, "--embodiment-tag", "unitree_g1",
                               "--views", "4"});  // of two times: two cameras
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* text : {"denoising step 3", "of bound", "ms a chunk", "actions/s",
                           "read bandwidth", "4 of 480x640", "load average"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Bench, RefusesWhatCannotBeMeasured) {
  EXPECT_EQ(run({}).exit_code, 2);
  EXPECT_EQ(run({kNano, "--synthetic", "nano"}).exit_code, 2);
  EXPECT_EQ(run({"--synthetic", "pico"}).exit_code, 2);
  EXPECT_EQ(run({"--synthetic", "nano", "--image-size", "480"}).exit_code, 2);
  EXPECT_EQ(run({"--synthetic", "nano", "--batch", "0"}).exit_code, 2);
  EXPECT_EQ(run({"--synthetic", "nano", "--precision", "fp8"}).exit_code, 4);
  EXPECT_EQ(run({folder_ / "none"}).exit_code, 3);
  const Outcome short_prompt = run({"--synthetic", "nano", "--text-tokens", "20"});
  EXPECT_EQ(short_prompt.exit_code, 2);
  EXPECT_THAT(short_prompt.err, HasSubstr("30 tokens"));  // 16, and 7 an image
  const Outcome odd_views =
      run({kNano, "--vlm-path", kEagle, "--embodiment-tag", "unitree_g1", "--views", "3"});
  EXPECT_EQ(odd_views.exit_code, 2);
  EXPECT_THAT(odd_views.err, HasSubstr("multiple of 2"));
  EXPECT_TRUE(nothing_is_left());
}

}  // namespace
}  // namespace sinew::test
