// Formatting helpers for error messages: bad_input("tensor {}: expected {}", name, shape).
#pragma once

#include "sinew/result.h"

#include <fmt/format.h>

#include <utility>

namespace sinew {

template <class... Args>
Status error(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return {code, fmt::format(format, std::forward<Args>(args)...)};
}

template <class... Args>
Status bad_input(fmt::format_string<Args...> format, Args&&... args) {
  return error(Code::kBadInput, format, std::forward<Args>(args)...);
}

template <class... Args>
Status not_found(fmt::format_string<Args...> format, Args&&... args) {
  return error(Code::kNotFound, format, std::forward<Args>(args)...);
}

template <class... Args>
Status usage_error(fmt::format_string<Args...> format, Args&&... args) {
  return error(Code::kUsage, format, std::forward<Args>(args)...);
}

template <class... Args>
Status unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return error(Code::kUnsupported, format, std::forward<Args>(args)...);
}

template <class... Args>
Status internal_error(fmt::format_string<Args...> format, Args&&... args) {
  return error(Code::kInternal, format, std::forward<Args>(args)...);
}

}  // namespace sinew
