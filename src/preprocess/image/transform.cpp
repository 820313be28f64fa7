// The sizes that a camera frame goes through (spec/preprocessing.md section 1 and 2), and the
// normalisation of what comes out (section 3).
#include "base/check.h"
#include "base/error.h"
#include "preprocess/image/image.h"
#include "preprocess/image/row_kernels.h"
#include "preprocess/image/sizes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace sinew::preprocess {
namespace {

constexpr int64_t kMinSnappedPixels = 4 * kSnapPixels * kSnapPixels;
constexpr int64_t kMaxSnappedPixels = 4096 * kSnapPixels * kSnapPixels;
constexpr int64_t kMaxSnappedSide = 7000;
constexpr int64_t kMaxAspect = 200;

int64_t rint64(double x) {
  return static_cast<int64_t>(std::nearbyint(x));
}

// albumentations' SmallestMaxSize.
Size with_shortest_edge(Size size, int64_t edge) {
  const double scale =
      static_cast<double>(edge) / static_cast<double>(std::min(size.height, size.width));
  if (scale == 1.0) {
    return size;
  }
  return {rint64(static_cast<double>(size.height) * scale),
          rint64(static_cast<double>(size.width) * scale)};
}

Size cropped_size(Size size, double fraction) {
  const auto keep = [fraction](int64_t side) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(side) * fraction));
  };
  return {keep(size.height), keep(size.width)};
}

int64_t snap_side(int64_t side) {
  const int64_t snapped = rint64(static_cast<double>(side) / kSnapPixels) * kSnapPixels;
  return std::min(std::max(kSnapPixels, snapped), kMaxSnappedSide);
}

}  // namespace

Status check_size(const char* what, Size size, int64_t max_side) {
  if (size.height < 1 || size.width < 1) {
    return bad_input("{}: expected at least 1x1 pixels, found {}x{} (height x width)", what,
                     size.height, size.width);
  }
  if (std::max(size.height, size.width) > max_side || size.height * size.width > kMaxImagePixels) {
    return bad_input(
        "{}: {}x{} (height x width) is over the limit of {} pixels a side and {} in all", what,
        size.height, size.width, max_side, kMaxImagePixels);
  }
  return {};
}

// Section 2, steps 1 to 4.
Result<Size> snapped_size(Size size) {
  const int64_t longer = std::max(size.height, size.width);
  const int64_t shorter = std::min(size.height, size.width);
  if (longer > kMaxAspect * shorter) {
    return bad_input(
        "image of {}x{} (height x width): one side is more than {} times the other; crop the frame",
        size.height, size.width, kMaxAspect);
  }
  Size snapped{snap_side(size.height), snap_side(size.width)};
  if (const int64_t pixels = snapped.height * snapped.width; pixels > kMaxSnappedPixels) {
    const double beta = std::sqrt(static_cast<double>(pixels) / kMaxSnappedPixels);
    const auto shrink = [beta](int64_t side) {  // from the snapped side
      return static_cast<int64_t>(std::floor(static_cast<double>(side) / beta / kSnapPixels)) *
             kSnapPixels;
    };
    snapped = {shrink(snapped.height), shrink(snapped.width)};
  } else if (pixels < kMinSnappedPixels) {
    const double beta = std::sqrt(static_cast<double>(kMinSnappedPixels) /
                                  static_cast<double>(size.height * size.width));
    const auto grow = [beta](int64_t side) {  // from the original side
      return static_cast<int64_t>(std::ceil(static_cast<double>(side) * beta / kSnapPixels)) *
             kSnapPixels;
    };
    snapped = {grow(size.height), grow(size.width)};
  }
  return snapped;
}

Result<TransformSizes> transform_sizes(Size frame, int64_t shortest_edge, double crop_fraction) {
  SINEW_TRY(check_size("camera frame", frame, kMaxImageSide));
  if (shortest_edge < 1 || shortest_edge > kMaxImageSide) {
    return bad_input("shortest_image_edge: expected 1 to {}, found {}", kMaxImageSide,
                     shortest_edge);
  }
  if (!(crop_fraction > 0.0 && crop_fraction <= 1.0)) {
    return bad_input("crop_fraction: expected a number above 0 and at most 1, found {}",
                     crop_fraction);
  }
  TransformSizes sizes;
  // A side may exceed the limit for frames here (a strip that is enlarged), the pixels may not.
  sizes.resized = with_shortest_edge(frame, shortest_edge);
  SINEW_TRY(check_size("frame resized to shortest_image_edge", sizes.resized, kMaxImagePixels));
  sizes.cropped = cropped_size(sizes.resized, crop_fraction);
  sizes.transformed = with_shortest_edge(sizes.cropped, shortest_edge);
  SINEW_TRY(check_size("frame cropped and resized", sizes.transformed, kMaxImagePixels));
  SINEW_ASSIGN(sizes.snapped, snapped_size(sizes.transformed));
  return sizes;
}

}  // namespace sinew::preprocess
