// From a camera frame to what the vision tower is given: the sizes of every step, the evaluation
// transform, the snap to multiples of 28 and the normalisation (spec/preprocessing.md section 1 to
// 3).
#include "base/check.h"
#include "base/error.h"
#include "preprocess/image/frame_transform.h"
#include "preprocess/image/image.h"
#include "preprocess/image/resizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace sinew::preprocess {
namespace {

constexpr int64_t kMinSnappedPixels = 4 * kSnapPixels * kSnapPixels;
constexpr int64_t kMaxSnappedPixels = 4096 * kSnapPixels * kSnapPixels;
constexpr int64_t kMaxSnappedSide = 7000;
constexpr int64_t kMaxAspect = 200;

int64_t rint64(double x) {
  return static_cast<int64_t>(std::nearbyint(x));
}

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

size_t byte_count(Size size) {
  return static_cast<size_t>(size.height * size.width * kChannels);
}

constexpr std::array<float, 256> make_normalized_levels() {
  std::array<float, 256> table{};
  for (size_t level = 0; level < table.size(); ++level) {
    table[level] = (static_cast<float>(level) - 127.5F) / 127.5F;
  }
  return table;
}

}  // namespace

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

FrameTransform::FrameTransform(Size frame, const TransformSizes& sizes)
    : frame_(frame),
      sizes_(sizes),
      enlarge_(make_area_resizer(sizes.cropped, sizes.transformed)),
      snap_(make_bicubic_resizer(sizes.transformed, sizes.snapped)),
      transformed_(byte_count(sizes.transformed)) {
  if (frame != sizes.resized) {
    resize_ = make_area_resizer(frame, sizes.resized);
    resized_.resize(byte_count(sizes.resized));
  }
}

FrameTransform::FrameTransform(FrameTransform&&) noexcept = default;
FrameTransform& FrameTransform::operator=(FrameTransform&&) noexcept = default;
FrameTransform::~FrameTransform() = default;

Result<FrameTransform> FrameTransform::create(Size frame, int64_t shortest_edge,
                                              double crop_fraction) {
  SINEW_ASSIGN(const TransformSizes sizes, transform_sizes(frame, shortest_edge, crop_fraction));
  try {
    return FrameTransform(frame, sizes);
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "no memory for the transform of {}x{} frames", frame.height,
                 frame.width);
  }
}

void FrameTransform::run_eval(const ImageRef& frame) {
  SINEW_CHECK(frame.height == frame_.height && frame.width == frame_.width);
  PixelRows rows(frame);
  if (resize_ != nullptr) {
    resize_->run(rows, resized_.data());
    rows = PixelRows(resized_.data(), sizes_.resized.width * kChannels);
  }
  const int64_t top = (sizes_.resized.height - sizes_.cropped.height) / 2;
  const int64_t left = (sizes_.resized.width - sizes_.cropped.width) / 2;
  enlarge_->run(PixelRows(rows.row(top) + left * kChannels, rows.row_bytes), transformed_.data());
}

void FrameTransform::run(const ImageRef& frame, std::span<uint8_t> dst) {
  SINEW_CHECK(dst.size() == byte_count(sizes_.snapped));
  run_eval(frame);
  snap_->run(PixelRows(transformed_.data(), sizes_.transformed.width * kChannels), dst.data());
}

Result<Image> eval_transform(const ImageRef& frame, int64_t shortest_edge, double crop_fraction) {
  SINEW_ASSIGN(FrameTransform transform,
               FrameTransform::create({frame.height, frame.width}, shortest_edge, crop_fraction));
  transform.run_eval(frame);
  const Size size = transform.sizes().transformed;
  const std::span<const uint8_t> pixels = transform.transformed();
  try {
    return Image{size.height, size.width, {pixels.begin(), pixels.end()}};
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "no memory for an image of {}x{}", size.height, size.width);
  }
}

Result<Image> snap_to_patches(const ImageRef& image) {
  const Size from{image.height, image.width};
  SINEW_TRY(check_size("image", from, kMaxImagePixels));
  SINEW_ASSIGN(const Size to, snapped_size(from));
  try {
    return resize_bicubic(image, to.height, to.width);
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "no memory to resize an image to {}x{}", to.height, to.width);
  }
}

void normalize_image(const ImageRef& image, std::span<float> dst) {
  static constexpr std::array<float, 256> kLevels = make_normalized_levels();
  const int64_t area = image.height * image.width;
  SINEW_CHECK(dst.size() == static_cast<size_t>(area * kChannels));
  float* red = dst.data();
  float* green = red + area;
  float* blue = green + area;
  const uint8_t* p = image.pixels;
  for (int64_t i = 0; i < area; ++i, p += kChannels) {
    red[i] = kLevels[p[0]];
    green[i] = kLevels[p[1]];
    blue[i] = kLevels[p[2]];
  }
}

}  // namespace sinew::preprocess
