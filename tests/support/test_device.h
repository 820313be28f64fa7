// Where and how the tests that run on any device run: SINEW_TEST_DEVICE and SINEW_TEST_LOWERING, as
// --device and --lowering take them.
#pragma once

#include <cstdlib>
#include <string>

namespace sinew::test {

inline std::string test_device() {
  const char* const device = std::getenv("SINEW_TEST_DEVICE");
  return device == nullptr ? "cpu" : device;
}

inline std::string test_lowering() {
  const char* const lowering = std::getenv("SINEW_TEST_LOWERING");
  return lowering == nullptr ? "auto" : lowering;
}

}  // namespace sinew::test
