// Ctrl-C during work that must clean up after itself.
#pragma once

#include "sinew/result.h"

#include <array>
#include <csignal>
#include <cstddef>

namespace sinew::cli {

// While it lives, the first SIGINT or SIGTERM is remembered in place of ending the process; a
// second one ends it. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

  // kInternal ("interrupted") once a signal has come.
  static Status check();

 private:
  static constexpr std::array<int, 2> kSignals{SIGINT, SIGTERM};

  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace sinew::cli
