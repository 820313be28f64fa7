// Sections 1 and 2 of spec/preprocessing.md for the frames of one camera: every table and scratch
// buffer is made when the size becomes known, so that each frame of a running robot costs
// arithmetic only. eval_transform and snap_to_patches (image.h) are the same code for a single use.
#pragma once

#include "preprocess/image/image.h"

#include "sinew/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sinew::preprocess {

class Resizer;

class FrameTransform {
 public:
  // Fails as transform_sizes does, and with kOutOfMemory.
  static Result<FrameTransform> create(Size frame, int64_t shortest_edge, double crop_fraction);

  FrameTransform(FrameTransform&&) noexcept;
  FrameTransform& operator=(FrameTransform&&) noexcept;
  ~FrameTransform();

  const TransformSizes& sizes() const { return sizes_; }

  // frame: u8 [frame.height, frame.width, 3] of the size given to create().
  // dst: u8 [sizes().snapped.height, sizes().snapped.width, 3]. Allocates nothing.
  void run(const ImageRef& frame, std::span<uint8_t> dst);

  // Section 1 alone; the result is transformed(). Allocates nothing.
  void run_eval(const ImageRef& frame);

  // u8 [sizes().transformed.height, sizes().transformed.width, 3] of the last run; until then zero.
  std::span<const uint8_t> transformed() const { return transformed_; }

 private:
  FrameTransform(Size frame, const TransformSizes& sizes);

  Size frame_;
  TransformSizes sizes_;
  std::unique_ptr<Resizer> resize_;   // A1; null if it changes nothing
  std::unique_ptr<Resizer> enlarge_;  // A2 and A3
  std::unique_ptr<Resizer> snap_;
  std::vector<uint8_t> resized_;
  std::vector<uint8_t> transformed_;
};

}  // namespace sinew::preprocess
