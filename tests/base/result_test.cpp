#include "sinew/result.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace sinew {
namespace {

Result<int> half(int x) {
  if (x % 2 != 0) {
    return bad_input("{} is odd", x);
  }
  return x / 2;
}

Result<int> quarter(int x) {
  SINEW_ASSIGN(const int once, half(x));
  return half(once);
}

TEST(Result, CarriesValueOrStatus) {
  EXPECT_EQ(quarter(8).value(), 2);
  const Result<int> failed = quarter(6);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.status().code(), Code::kBadInput);
  EXPECT_EQ(failed.status().message(), "3 is odd");
}

TEST(Status, PutsContextInFront) {
  const Status status = bad_input("no bytes").with("shard 2").with("checkpoint x");
  EXPECT_EQ(status.message(), "checkpoint x: shard 2: no bytes");
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status().message(), "");
}

}  // namespace
}  // namespace sinew
