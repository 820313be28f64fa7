// The exit codes of every verb, one for each kind of failure (docs/cli.md).
#pragma once

#include "sinew/result.h"

namespace sinew::cli {

enum class ExitCode : int {
  kOk = 0,
  kRuntime = 1,
  kUsage = 2,
  kBadInput = 3,
  kDevice = 4,
  kThreshold = 5,
};

constexpr ExitCode exit_code(Code code) {
  switch (code) {
    case Code::kOk:
      return ExitCode::kOk;
    case Code::kUsage:
      return ExitCode::kUsage;
    case Code::kBadInput:
    case Code::kNotFound:
      return ExitCode::kBadInput;
    case Code::kUnsupported:
    case Code::kDevice:
      return ExitCode::kDevice;
    case Code::kThreshold:
      return ExitCode::kThreshold;
    case Code::kOutOfMemory:
    case Code::kInternal:
      return ExitCode::kRuntime;
  }
  return ExitCode::kRuntime;
}

}  // namespace sinew::cli
