// The resize that changes nothing (spec/preprocessing.md: a step whose size stays is skipped); it
// still gathers a window of a larger image into a dense one.
#include "preprocess/image/resizer.h"

#include <cstring>

namespace sinew::preprocess {
namespace {

class Copy final : public Resizer {
 public:
  explicit Copy(Size size) : size_(size) {}

  void run(const PixelRows& src, uint8_t* dst) override {
    const int64_t row_bytes = size_.width * kChannels;
    for (int64_t y = 0; y < size_.height; ++y) {
      std::memcpy(dst + y * row_bytes, src.row(y), static_cast<size_t>(row_bytes));
    }
  }

 private:
  Size size_;
};

}  // namespace

std::unique_ptr<Resizer> make_copy(Size size) {
  return std::make_unique<Copy>(size);
}

}  // namespace sinew::preprocess
