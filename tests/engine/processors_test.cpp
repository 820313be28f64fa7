#include "engine/processors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

namespace sinew::engine {
namespace {

using testing::HasSubstr;

TEST(ParseCpuQuota, ReadsQuotaOverPeriod) {
  EXPECT_EQ(parse_cpu_quota("200000 100000\n"), 2.0);
  EXPECT_EQ(parse_cpu_quota("50000 100000\n"), 0.5);
  EXPECT_EQ(parse_cpu_quota("150000 100000"), 1.5);
  EXPECT_EQ(parse_cpu_quota("10000 20000"), 0.5);
}

TEST(ParseCpuQuota, HasNoneForMaxAndForWhatItDoesNotKnow) {
  for (const char* text : {"max 100000\n", "max", "", "\n", "100000", "100000 max", "0 100000",
                           "100000 0", "-1 100000", "100000 -1", "nan 100000", "two processors"}) {
    EXPECT_EQ(parse_cpu_quota(text), std::nullopt) << '"' << text << '"';
  }
}

TEST(CountPhysicalCores, CountsEachCoreOfEachPackageOnce) {
  const auto processor = [](int package, int core) {
    return "processor\t: 0\nphysical id\t: " + std::to_string(package) +
           "\nsiblings\t: 2\ncore id\t\t: " + std::to_string(core) + "\n\n";
  };
  EXPECT_EQ(count_physical_cores(processor(0, 0)), 1);
  // Two hyperthreads of a core, its neighbour, and a core of the same number in another package.
  EXPECT_EQ(
      count_physical_cores(processor(0, 0) + processor(0, 0) + processor(0, 1) + processor(1, 0)),
      3);
  for (const char* text : {"", "\n", "no colon\n:\n", "processor : 0\nFeatures : asimd bf16\n"}) {
    EXPECT_EQ(count_physical_cores(text), 0) << '"' << text << '"';
  }
}

struct ThreadsRow {
  const char* what = "";
  int requested = 0;
  Processors processors;
  int threads = 0;
  const char* note = "";  // part of it
};

TEST(ResolveThreads, TakesTheLeastOfWhatLimitsUnlessAsked) {
  const std::array rows = {
      // --threads 0
      ThreadsRow{"one thread a core", 0, {8, 4, {}}, 4, "physical cores"},
      ThreadsRow{"no hyperthreads", 0, {8, 8, {}}, 8, "physical cores"},
      ThreadsRow{"pinned to fewer than there are cores", 0, {2, 4, {}}, 2, "available"},
      ThreadsRow{"cores unknown", 0, {6, 0, {}}, 6, "available"},
      ThreadsRow{"quota below the cores", 0, {8, 4, 2.0}, 2, "control group grants 2.0"},
      ThreadsRow{"a part of a processor counts", 0, {8, 4, 2.5}, 3, "control group grants 2.5"},
      ThreadsRow{"quota below one", 0, {8, 4, 0.1}, 1, "control group"},
      ThreadsRow{"quota equal to the cores", 0, {8, 4, 4.0}, 4, "physical cores"},
      ThreadsRow{"quota beyond the cores", 0, {8, 4, 16.0}, 4, "physical cores"},
      ThreadsRow{"quota just below the cores", 0, {8, 4, 3.5}, 4, "physical cores"},
      ThreadsRow{"one processor", 0, {1, 1, {}}, 1, ""},
      // asked for
      ThreadsRow{"as asked", 3, {8, 4, {}}, 3, ""},
      ThreadsRow{"more than cores, as asked", 8, {8, 4, {}}, 8, ""},
      ThreadsRow{"clipped to what is there", 9, {8, 4, {}}, 8, "9 asked for, 8 processors"},
      ThreadsRow{"beyond the quota, as asked", 4, {8, 4, 2.0}, 4, "more than the 2.0 processors"},
      ThreadsRow{"within the quota", 2, {8, 4, 2.0}, 2, ""},
      ThreadsRow{"within the quota rounded up", 3, {8, 4, 2.5}, 3, ""},
  };
  for (const ThreadsRow& row : rows) {
    std::string note;
    EXPECT_EQ(resolve_threads(row.requested, row.processors, note), row.threads) << row.what;
    EXPECT_THAT(note, HasSubstr(row.note)) << row.what;
    if (row.requested > 0 && *row.note == '\0') {
      EXPECT_EQ(note, "") << row.what;
    }
  }
}

TEST(Processors, OfThisMachineAreUsable) {
  const Processors here = processors();
  EXPECT_GE(here.available, 1);
  EXPECT_GE(here.physical_cores, 0);
  EXPECT_GT(here.quota.value_or(1.0), 0.0);
  std::string note;
  const int threads = resolve_threads(0, here, note);
  EXPECT_GE(threads, 1);
  EXPECT_LE(threads, here.available);
  EXPECT_NE(note, "");
}

}  // namespace
}  // namespace sinew::engine
