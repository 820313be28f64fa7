// Whether bytes are UTF-8, asked of names and texts from files before they go anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sinew::io {

// Well-formed UTF-8 as in table 3-7 of the Unicode standard: shortest forms, no surrogates.
inline bool is_utf8(std::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = byte(i);
    const size_t length = lead < 0x80 ? 1 : (lead < 0xe0 ? 2 : (lead < 0xf0 ? 3 : 4));
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || length > text.size() - i) {
      return false;
    }
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0U) != 0x80U) {
        return false;
      }
    }
    const uint8_t second = length > 1 ? byte(i + 1) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

// Appends a code point. False for surrogates and numbers beyond U+10FFFF.
inline bool append_utf8(uint32_t code, std::string& text) {
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
    return false;
  }
  const auto tail = [code](unsigned shift) {
    return static_cast<char>(0x80U | ((code >> shift) & 0x3fU));
  };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0U | (code >> 6U));
    text += tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0U | (code >> 12U));
    text += tail(6);
    text += tail(0);
  } else {
    text += static_cast<char>(0xf0U | (code >> 18U));
    text += tail(12);
    text += tail(6);
    text += tail(0);
  }
  return true;
}

}  // namespace sinew::io
