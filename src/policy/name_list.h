// Long lists in messages about a checkpoint's tensors.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace sinew::policy {

// One item a line; past the twelfth only how many there are.
inline std::string list_of(const std::vector<std::string>& items) {
  constexpr size_t kListed = 12;
  const size_t shown = std::min(items.size(), kListed);
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    text += "\n  " + items[i];
  }
  return shown < items.size() ? text + fmt::format("\n  and {} more", items.size() - shown) : text;
}

}  // namespace sinew::policy
