#include "cli/interrupt.h"

#include "base/error.h"

namespace sinew::cli {
namespace {

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): all that a handler can reach
volatile std::sig_atomic_t last_signal = 0;

void remember(int signal) {
  last_signal = signal;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  last_signal = 0;

  struct sigaction action {};

  action.sa_handler = remember;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before_[i]);
  }
}

InterruptGuard::~InterruptGuard() {
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
}

Status InterruptGuard::check() {
  return last_signal == 0 ? Status() : internal_error("interrupted by signal {}", int{last_signal});
}

}  // namespace sinew::cli
