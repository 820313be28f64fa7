// Lists of names in error messages: the first few and how many more there are.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

namespace sinew::io {

// "a, b, c" or "a, b, c, d, e, f, g, h and 12 more".
inline std::string name_list(std::span<const std::string> names) {
  constexpr size_t kMaxShown = 8;
  const std::span<const std::string> shown = names.first(std::min(names.size(), kMaxShown));
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (shown.size() < names.size()) {
    text += fmt::format(" and {} more", names.size() - shown.size());
  }
  return text;
}

}  // namespace sinew::io
