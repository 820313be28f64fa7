#include "eval/noise_sequence.h"

#include "base/philox.h"
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

using testing::ElementsAre;

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

TEST(NoiseSequence, OfAnotherHorizonKeepsTheRowsThatItHas) {
  // Two entries of [2 rows, 2].
  NoiseSequence noise({1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2);
  noise.next();  // the copy starts at the first entry all the same
  NoiseSequence shorter = noise.with_horizon(1, 42);
  EXPECT_TRUE(shorter.check(1, 2).ok());
  EXPECT_THAT(shorter.next(), ElementsAre(1, 2));
  EXPECT_THAT(shorter.next(), ElementsAre(5, 6));
  EXPECT_THAT(shorter.next(), ElementsAre(1, 2));
  NoiseSequence longer = noise.with_horizon(3, 42);
  for (const uint64_t entry : {0U, 1U}) {
    std::vector<float> drawn(6);
    normal_noise(42, entry, drawn);
    const auto first = static_cast<float>(1 + 4 * entry);
    EXPECT_THAT(longer.next(),
                ElementsAre(first, first + 1, first + 2, first + 3, drawn[4], drawn[5]));
  }
  EXPECT_TRUE(NoiseSequence().with_horizon(3, 42).empty());
}

}  // namespace
}  // namespace sinew::eval
