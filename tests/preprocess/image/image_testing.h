// What the image tests share: the synthetic frame of spec/preprocessing.md section 10 and
// checksums.
#pragma once

#include "preprocess/image/image.h"

#include <zlib.h>

#include <cstdint>
#include <span>
#include <vector>

namespace sinew::preprocess {

inline Image synthetic_frame(int64_t height, int64_t width) {
  Image image{height, width, {}};
  image.pixels.reserve(static_cast<size_t>(height * width * 3));
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t v = 7 * x + 13 * y + 101 * c + ((x * y) >> 3) + ((x * x + 3 * y * y) >> 6);
        image.pixels.push_back(static_cast<uint8_t>(v & 255));
      }
    }
  }
  return image;
}

template <class T>
uint32_t checksum(std::span<const T> values) {
  return static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(values.data()),
                                     static_cast<uInt>(values.size_bytes())));
}

inline uint32_t checksum(const Image& image) {
  return checksum(std::span<const uint8_t>(image.pixels));
}

}  // namespace sinew::preprocess
