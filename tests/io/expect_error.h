// expect_error(result, code, {"part", ...}): a Status or Result failed with the code, and its
// message holds every part.
#pragma once

#include "sinew/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace sinew::test {

inline void expect_error(const Status& status, Code code,
                         std::initializer_list<const char*> parts) {
  EXPECT_EQ(status.code(), code) << status.message();
  for (const char* part : parts) {
    EXPECT_THAT(status.message(), ::testing::HasSubstr(part));
  }
}

template <class T>
void expect_error(const Result<T>& result, Code code, std::initializer_list<const char*> parts) {
  ASSERT_FALSE(result.ok());
  expect_error(result.status(), code, parts);
}

}  // namespace sinew::test
