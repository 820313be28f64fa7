// A run is a function of its inputs: again, and on another number of threads, all bits are the
// same. So they are with every site dumped, but for a GPU's fused kernels: composites with a site
// inside are taken apart then.
#include "support/golden_case.h"
#include "support/golden_sites.h"
#include "support/test_device.h"

#include "sinew/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sinew {
namespace {

const std::filesystem::path kGolden = "tests/golden";

class RepeatTest : public testing::TestWithParam<const char*> {
 protected:
  std::optional<test::GoldenRun> run(int threads) const {
    return test::run_golden(kGolden, golden_, {.precision = GetParam(), .threads = threads});
  }

  test::GoldenCase golden_ = test::load_golden_case(kGolden, "batch2_pad").value();
};

INSTANTIATE_TEST_SUITE_P(Precisions, RepeatTest, testing::Values("fp32", "bf16"),
                         [](const auto& parameter) { return std::string(parameter.param); });

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void expect_same(const test::GoldenRun& a, const test::GoldenRun& b) {
  ASSERT_EQ(a.dump.tensors().size(), b.dump.tensors().size());
  EXPECT_GT(a.dump.tensors().size(), 20U);
  for (const io::TensorEntry& tensor : a.dump.tensors()) {
    const io::TensorEntry* other = b.dump.find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    ASSERT_EQ(tensor.view.bytes(), other->view.bytes()) << tensor.name;
    EXPECT_EQ(std::memcmp(tensor.view.data, other->view.data, tensor.view.bytes()), 0)
        << tensor.name;
  }
  ASSERT_EQ(a.chunks.size(), b.chunks.size());
  for (size_t i = 0; i < a.chunks.size(); ++i) {
    EXPECT_TRUE(same_bits(a.chunks[i].normalized, b.chunks[i].normalized)) << "sample " << i;
  }
}

TEST_P(RepeatTest, SitesHaveTheSameBitsAgainAndOnOneAndTwoThreads) {
  const auto serial = run(1);
  const auto first = run(2);
  const auto second = run(2);
  ASSERT_TRUE(serial && first && second);
  expect_same(*first, *second);
  expect_same(*first, *serial);
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return a.size() == b.size() ? std::sqrt(difference / norm) : HUGE_VAL;
}

TEST_P(RepeatTest, DumpingSitesChangesNoBit) {
  const auto dumped = run(2);
  ASSERT_TRUE(dumped);
  auto policy = Policy::load({.model_path = kGolden / "nano/checkpoint",
                              .embodiment_tag = golden_.embodiment_tag,
                              .device = test::test_device(),
                              .precision = GetParam(),
                              .denoising_steps = golden_.denoising_steps,
                              .threads = 2,
                              .lowering = test::test_lowering()});
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  std::vector<Observation> observations;
  for (const test::GoldenSample& sample : golden_.samples) {
    observations.push_back(sample.observation());
  }
  std::vector<ActionChunk> chunks(observations.size());
  const Status status = policy.value().act_batch(observations, chunks);
  ASSERT_TRUE(status.ok()) << status.message();
  const bool is_fused = test::test_device() != "cpu" && test::test_lowering() != "leaf" &&
                        std::string(GetParam()) == "bf16";
  for (size_t i = 0; i < chunks.size(); ++i) {
    const std::vector<float>& expected = dumped->chunks[i].normalized;
    if (!is_fused) {
      EXPECT_TRUE(same_bits(chunks[i].normalized, expected)) << "sample " << i;
    } else {
      EXPECT_LT(relative_difference(chunks[i].normalized, expected), 1e-2) << "sample " << i;
    }
  }
}

}  // namespace
}  // namespace sinew
