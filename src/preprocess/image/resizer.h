// The common face of the two resizing algorithms: all tables and scratch are made once for a pair
// of sizes, so that resizing the frames of a running robot allocates nothing. Private to this
// folder.
#pragma once

#include "preprocess/image/image.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sinew::preprocess {

// Channels of every image here.
inline constexpr int64_t kChannels = 3;

// Rows of u8 RGB pixels, `row_bytes` apart: a whole image or a window of one.
struct PixelRows {
  const uint8_t* pixels = nullptr;
  int64_t row_bytes = 0;

  PixelRows(const uint8_t* p, int64_t row) : pixels(p), row_bytes(row) {}

  explicit PixelRows(const ImageRef& image)
      : pixels(image.pixels), row_bytes(image.width * kChannels) {}

  const uint8_t* row(int64_t y) const { return pixels + y * row_bytes; }
};

class Resizer {
 public:
  Resizer() = default;
  Resizer(const Resizer&) = delete;
  Resizer& operator=(const Resizer&) = delete;
  virtual ~Resizer() = default;

  // src [from.height, from.width, 3] -> dst [to.height, to.width, 3], dense; they may not overlap.
  virtual void run(const PixelRows& src, uint8_t* dst) = 0;
};

// Sides must be 1 to 2^24. Equal sizes give a plain copy. May throw std::bad_alloc.
std::unique_ptr<Resizer> make_area_resizer(Size from, Size to);     // section 1.1 and 1.2
std::unique_ptr<Resizer> make_bicubic_resizer(Size from, Size to);  // section 2.1

// The copy that both fall back to.
std::unique_ptr<Resizer> make_copy(Size size);

// For each destination index of one axis: the consecutive source pixels it is made of, with
// weights.
template <class Weight>
struct WindowTable {
  struct Window {
    int64_t first = 0;  // source index of the first weight
    size_t begin = 0;   // its place in `weights`
    size_t count = 0;
  };

  std::vector<Window> windows{};
  std::vector<Weight> weights{};

  // Weights pushed after this belong to the new window, until close().
  void open(int64_t first) { windows.push_back({first, weights.size(), 0}); }

  void close() { windows.back().count = weights.size() - windows.back().begin; }

  std::span<const Weight> weights_of(const Window& window) const {
    return std::span(weights).subspan(window.begin, window.count);
  }
};

inline uint8_t clamp_to_byte(int32_t value) {
  return static_cast<uint8_t>(value < 0 ? 0 : (value > 255 ? 255 : value));
}

}  // namespace sinew::preprocess
