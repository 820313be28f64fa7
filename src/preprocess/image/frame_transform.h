// Sections 1 and 2 of spec/preprocessing.md for the frames of one camera: every table is made when
// the size becomes known, so that each frame of a running robot costs arithmetic only. A frame is
// made in bands of rows that depend on nothing but the frame, for as many threads as there are.
// eval_transform and snap_to_patches (image.h) are the same code for a single use.
#pragma once

#include "preprocess/image/image.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace sinew::preprocess {

class Resizer;
struct RowKernels;

class FrameTransform {
 public:
  // `bands`: wanted, for all threads to have one; there are as many as make sense. Fails as
  // transform_sizes does, and with kOutOfMemory.
  static Result<FrameTransform> create(Size frame, int64_t shortest_edge, double crop_fraction,
                                       int64_t bands = 1);
  // With other inner loops than the fastest, for tests.
  static Result<FrameTransform> create(Size frame, int64_t shortest_edge, double crop_fraction,
                                       int64_t bands, const RowKernels& kernels);

  FrameTransform(FrameTransform&&) noexcept;
  FrameTransform& operator=(FrameTransform&&) noexcept;
  ~FrameTransform();

  const TransformSizes& sizes() const { return sizes_; }

  int64_t bands() const { return bands_; }

  // Memory that a call below needs, a multiple of 64 and aligned to it; calls at a time need their
  // own.
  size_t scratch_bytes() const { return scratch_bytes_; }

  // Sections 1 and 2: makes band `band` of dst, u8 [snapped.height, snapped.width, 3], from frame,
  // u8 [frame.height, frame.width, 3] of the size given to create(), and writes nothing else of it.
  // Allocates nothing.
  void snap(const ImageRef& frame, int64_t band, std::span<uint8_t> dst, std::byte* scratch) const;

 private:
  FrameTransform(Size frame, const TransformSizes& sizes, int64_t bands, const RowKernels& kernels);

  struct Steps;

  Size frame_;
  TransformSizes sizes_;
  int64_t bands_;
  size_t scratch_bytes_ = 0;
  std::unique_ptr<const Steps> steps_;
};

}  // namespace sinew::preprocess
