// libpng's last message, kept where libpng's error handler may write it before it jumps back to the
// caller. Private to this folder.
#pragma once

#include <png.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sinew::preprocess {

struct PngError {
  std::array<char, 160> message{};

  const char* text() const { return message.data(); }

  void set(const char* what) {
    const size_t size = std::min(std::strlen(what), message.size() - 1);
    std::memcpy(message.data(), what, size);
    message[size] = '\0';
  }
};

[[noreturn]] inline void on_png_error(png_structp png, png_const_charp message) {
  static_cast<PngError*>(png_get_error_ptr(png))->set(message);
  png_longjmp(png, 1);
}

inline void on_png_warning(png_structp, png_const_charp) {}

}  // namespace sinew::preprocess
