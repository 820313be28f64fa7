// Camera frames: decode, the evaluation transform, the snap to multiples of 28, which the network
// normalises (spec/preprocessing.md sections 1 to 3). Byte-identical to the original's libraries.
#pragma once

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace sinew::preprocess {

// Limits on a frame, so that a few hostile bytes cannot ask for gigabytes.
inline constexpr int64_t kMaxImageSide = 16384;
inline constexpr int64_t kMaxImagePixels = int64_t{1} << 26;

// Frames reach the network with sides that are multiples of this (section 2).
inline constexpr int64_t kSnapPixels = 28;

struct Size {
  int64_t height = 0;
  int64_t width = 0;

  friend bool operator==(const Size&, const Size&) = default;
};

// An owned RGB frame, u8 [height, width, 3], row-major.
struct Image {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> pixels;
};

// A view of an RGB frame that somebody else owns.
struct ImageRef {
  const uint8_t* pixels = nullptr;  // [height, width, 3]
  int64_t height = 0;
  int64_t width = 0;

  ImageRef() = default;

  ImageRef(const uint8_t* p, int64_t h, int64_t w) : pixels(p), height(h), width(w) {}

  ImageRef(const Image& image)  // NOLINT(google-explicit-constructor): a view of the same frame
      : pixels(image.pixels.data()), height(image.height), width(image.width) {}
};

// PNG or JPEG by content. Grey and palette images become RGB; alpha is composited over white
// (section 2); 16-bit channels are scaled to 8. Colour profiles and orientation tags are not
// applied. `where` names the file in messages. kBadInput for truncated or corrupt files and for
// frames beyond the limits above; kUnsupported for JPEG in CMYK.
Result<Image> decode_image(std::span<const std::byte> file, const std::string& where);
Result<Image> read_image(const std::filesystem::path& path);

// What decode_image would make of the file, from its header alone. Fails as that does.
Result<Size> image_size(std::span<const std::byte> file, const std::string& where);

// PNG, lossless RGB.
Result<std::string> encode_png(const ImageRef& image);

// The two resizes; sides of source and destination must be 1 to 2^24.
// cv2.resize(..., INTER_AREA) on u8 RGB, section 1.1 and 1.2.
Image resize_area(const ImageRef& src, int64_t height, int64_t width);
// PIL.Image.resize(BICUBIC) on u8 RGB, section 2.1.
Image resize_bicubic(const ImageRef& src, int64_t height, int64_t width);

struct TransformSizes {
  Size resized, cropped, transformed, snapped;  // after A1, A2, A3 and section 2
};

// The sizes that a frame of (height, width) goes through. kBadInput where section 2 fails (aspect
// over 200), a side is 0, a limit above is passed, shortest_edge is not in [1, 16384] or
// crop_fraction not in (0, 1].
Result<TransformSizes> transform_sizes(Size frame, int64_t shortest_edge, double crop_fraction);

// Section 1: SmallestMaxSize, centre crop, SmallestMaxSize. Fails as transform_sizes does. Frames
// that keep their size for many calls go through FrameTransform (frame_transform.h) instead.
Result<Image> eval_transform(const ImageRef& frame, int64_t shortest_edge, double crop_fraction);
// Section 2. Fails where it does, and for images of no or too many pixels.
Result<Image> snap_to_patches(const ImageRef& image);

}  // namespace sinew::preprocess
