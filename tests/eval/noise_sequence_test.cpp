#include "eval/noise_sequence.h"

#include "io/file.h"
#include "io/npy.h"
#include "support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

namespace sinew::eval {
namespace {

std::vector<float> counting(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

std::filesystem::path write(const test::TempFolder& folder, const std::vector<float>& values,
                            const Shape& shape) {
  std::filesystem::path path = folder / "noise.npy";
  EXPECT_TRUE(
      io::write_file_atomic(path, io::format_npy({values.data(), DType::kF32, shape})).ok());
  return path;
}

TEST(NoiseSequence, DealsEntriesInOrderAndStartsAgain) {
  const test::TempFolder folder;
  Result<NoiseSequence> noise = NoiseSequence::read(write(folder, counting(12), {2, 3, 2}));
  ASSERT_TRUE(noise.ok()) << noise.status().message();
  EXPECT_EQ(noise.value().next()[0], 0);
  EXPECT_EQ(noise.value().next()[0], 6);
  EXPECT_EQ(noise.value().next()[0], 0);
  EXPECT_EQ(noise.value().next().size(), 6U);
}

TEST(NoiseSequence, TwoDimensionsAreOneEntry) {
  const test::TempFolder folder;
  Result<NoiseSequence> noise = NoiseSequence::read(write(folder, counting(6), {3, 2}));
  ASSERT_TRUE(noise.ok());
  EXPECT_EQ(noise.value().entries(), 1);
  EXPECT_EQ(noise.value().next()[5], 5);
  EXPECT_EQ(noise.value().next()[5], 5);
}

TEST(NoiseSequence, ChecksExtentsAgainstThePolicy) {
  const NoiseSequence noise(counting(6), 1, 3, 2);
  EXPECT_TRUE(noise.check(3, 2).ok());
  const Status status = noise.check(16, 2);
  EXPECT_EQ(status.code(), Code::kBadInput);
  EXPECT_THAT(status.message(),
              testing::AllOf(testing::HasSubstr("[16, 2]"), testing::HasSubstr("[3, 2]")));
  EXPECT_TRUE(NoiseSequence().check(16, 32).ok());
}

TEST(NoiseSequence, RefusesOtherRanksEmptyAndNonFinite) {
  const test::TempFolder folder;
  EXPECT_EQ(NoiseSequence::read(write(folder, counting(4), {4})).status().code(), Code::kBadInput);
  EXPECT_EQ(NoiseSequence::read(write(folder, {}, {0, 3, 2})).status().code(), Code::kBadInput);
  std::vector<float> values = counting(6);
  values[4] = std::numeric_limits<float>::quiet_NaN();
  const Result<NoiseSequence> noise = NoiseSequence::read(write(folder, values, {3, 2}));
  EXPECT_EQ(noise.status().code(), Code::kBadInput);
  EXPECT_THAT(noise.status().message(), testing::HasSubstr("element 4"));
  EXPECT_EQ(NoiseSequence::read(folder / "missing.npy").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace sinew::eval
