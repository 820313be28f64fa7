// Statistics that are accepted and remarked on, one doubt at a time; and those that are right.
#include "preprocess/state_action/fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sinew::preprocess {
namespace {

using io::Json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Files;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Json& statistics(Files& files) {
  return files.statistics["new_embodiment"];
}

io::ResolvedConfig resolved(const Files& files, const std::string& tag = "") {
  return testing::resolve_or_fail(files, tag).resolved;
}

TEST(DoubtfulStatistics, RightOnesDrawNoWarning) {
  EXPECT_THAT(resolved(testing::example_files()).warnings, IsEmpty());
  EXPECT_THAT(resolved(testing::read_files("examples/reach/checkpoints/reach-nano")).warnings,
              IsEmpty());
  const Files nano = testing::read_files("tests/golden/nano/checkpoint");
  for (const auto& [tag, unused] : nano.statistics.items()) {
    EXPECT_THAT(resolved(nano, tag).warnings, IsEmpty()) << tag;
  }
}

TEST(DoubtfulStatistics, AMeanOutsideOfTheRangeIsAnotherDataSets) {
  Files files = testing::example_files();
  statistics(files)["state"]["arm"]["mean"][1] = 90;
  EXPECT_THAT(resolved(files).warnings,
              ElementsAre(AllOf(HasSubstr("ck/statistics.json"), HasSubstr("state.arm"),
                                HasSubstr("\"mean\" is 90 at index 1"), HasSubstr("-2 and 2"))));
}

TEST(DoubtfulStatistics, OnlyWhatIsUsedIsHeldAgainstTheRange) {
  Files files = testing::example_files();
  statistics(files)["action"]["grip"]["q01"] = {-7};
  EXPECT_THAT(resolved(files).warnings, IsEmpty());
  files.kwargs()["use_percentiles"] = true;
  EXPECT_THAT(resolved(files).warnings,
              ElementsAre(AllOf(HasSubstr("action.grip"), HasSubstr("\"q01\" is -7"))));
}

TEST(DoubtfulStatistics, RoundingIsNoDoubt) {
  Files files = testing::example_files();
  Json& grip = statistics(files)["action"]["grip"];
  grip["min"] = {1.0};
  grip["max"] = {1.5};
  grip["mean"] = {0.9999999};
  EXPECT_THAT(resolved(files).warnings, IsEmpty());
}

TEST(DoubtfulStatistics, RelativeActionsHaveTheirOwnRange) {
  Files files = testing::example_files();
  Json& relative = statistics(files)["relative_action"]["arm"];
  const Json& absolute = statistics(files)["action"]["arm"];
  relative["min"][0] = absolute["min"];
  EXPECT_THAT(resolved(files).warnings, IsEmpty());
  relative["max"][0] = absolute["max"];
  EXPECT_THAT(resolved(files).warnings,
              ElementsAre(AllOf(HasSubstr("relative_action.arm"), HasSubstr("is RELATIVE"))));
}

TEST(DoubtfulStatistics, RelativeStatisticsOfAnAbsoluteActionAreNoted) {
  Files files = testing::example_files();
  statistics(files)["relative_action"]["grip"] = testing::stepwise_statistics(2, 1);
  EXPECT_THAT(resolved(files).notices,
              ElementsAre(AllOf(HasSubstr("\"grip\" is decoded as ABSOLUTE"),
                                HasSubstr("trained as RELATIVE?"))));
}

TEST(DoubtfulStatistics, OutliersThatSetTheRangeAreNoted) {
  Files files = testing::example_files();
  statistics(files)["state"]["arm"]["max"][2] = 300;
  EXPECT_THAT(resolved(files).notices,
              ElementsAre(AllOf(HasSubstr("state.arm"), HasSubstr("56 times"))));
  files.kwargs()["use_percentiles"] = true;
  EXPECT_THAT(resolved(files).notices, IsEmpty());
}

}  // namespace
}  // namespace sinew::preprocess
