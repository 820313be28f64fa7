// Which device the tests that run on any run on: SINEW_TEST_DEVICE, as --device takes it.
#pragma once

#include <cstdlib>
#include <string>

namespace sinew::test {

inline std::string test_device() {
  const char* const device = std::getenv("SINEW_TEST_DEVICE");
  return device == nullptr ? "cpu" : device;
}

}  // namespace sinew::test
