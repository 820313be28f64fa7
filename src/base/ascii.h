// Case of ASCII letters, whatever the locale: tags, endings and words of flags are compared so.
#pragma once

#include <algorithm>
#include <string>

namespace sinew {

inline std::string ascii_lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace sinew
