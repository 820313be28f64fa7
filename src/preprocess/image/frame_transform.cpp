#include "preprocess/image/frame_transform.h"

#include "base/check.h"
#include "base/error.h"
#include "preprocess/image/resizer.h"
#include "preprocess/image/sizes.h"
#include "tensor/buffer.h"

#include <algorithm>
#include <new>
#include <utility>

namespace sinew::preprocess {
namespace {

// What the steps of a band leave behind stays in a second-level cache; smaller bands make more rows
// twice than further threads are worth.
constexpr int64_t kMostBandRows = 64;
constexpr int64_t kLeastBandRows = 32;

int64_t pieces_of(int64_t rows, int64_t rows_a_piece) {
  return (rows + rows_a_piece - 1) / rows_a_piece;
}

// Of an image in scratch, where rows begin with a line.
int64_t row_bytes(int64_t width) {
  return static_cast<int64_t>(whole_lines(static_cast<size_t>(width * kChannels)));
}

// Section 1: of the first resize only what survives the crop is made.
class EvalSteps {
 public:
  EvalSteps(Size frame, const TransformSizes& sizes, const RowKernels& kernels)
      : cropped_width_(sizes.cropped.width),
        top_((sizes.resized.height - sizes.cropped.height) / 2),
        left_((sizes.resized.width - sizes.cropped.width) / 2),
        enlarge_(make_area_resizer(sizes.cropped, sizes.transformed, {0, sizes.transformed.width},
                                   kernels)) {
    if (frame != sizes.resized) {
      resize_ = make_area_resizer(frame, sizes.resized, {left_, left_ + cropped_width_}, kernels);
    }
  }

  // Of `rows` of the result, wherever they are.
  size_t scratch_bytes(Range rows) const {
    const Range cropped = enlarge_->source_rows(rows);
    size_t bytes = enlarge_->scratch_bytes(rows.count());
    if (resize_ != nullptr) {
      bytes = std::max(bytes, resize_->scratch_bytes(cropped.count())) +
              static_cast<size_t>(cropped.count() * row_bytes(cropped_width_));
    }
    return bytes;
  }

  // Makes rows of the result.
  void run(const ImageRef& frame, Range rows, const PixelSink& dst, std::byte* scratch) const {
    const Range cropped = enlarge_->source_rows(rows);
    const PixelRows src{frame.pixels, frame.width * kChannels};
    if (resize_ == nullptr) {
      enlarge_->run({src.pixels + left_ * kChannels, src.row_bytes, -top_}, rows, dst, scratch);
      return;
    }
    ScratchPieces pieces(scratch);
    const int64_t stride = row_bytes(cropped_width_);
    auto* resized = pieces.take<uint8_t>(cropped.count() * stride);
    const Range uncropped{cropped.begin + top_, cropped.end + top_};
    resize_->run(src, uncropped, {resized, stride, uncropped.begin}, pieces.rest());
    enlarge_->run({resized, stride, cropped.begin}, rows, dst, pieces.rest());
  }

 private:
  int64_t cropped_width_;
  int64_t top_;
  int64_t left_;
  std::unique_ptr<Resizer> resize_;   // A1, and A2; null if it changes nothing
  std::unique_ptr<Resizer> enlarge_;  // A3
};

}  // namespace

struct FrameTransform::Steps {
  EvalSteps eval;
  std::unique_ptr<Resizer> snap;
  Size transformed;
  Size snapped;
  int64_t bands;

  Range rows_of(int64_t band) const {
    return {snapped.height * band / bands, snapped.height * (band + 1) / bands};
  }

  size_t scratch_bytes(int64_t band) const {
    const Range rows = rows_of(band);
    const Range sources = snap->source_rows(rows);
    return static_cast<size_t>(sources.count() * row_bytes(transformed.width)) +
           std::max(eval.scratch_bytes(sources), snap->scratch_bytes(rows.count()));
  }

  void run(const ImageRef& frame, int64_t band, const PixelSink& dst, std::byte* scratch) const {
    const Range rows = rows_of(band);
    const Range sources = snap->source_rows(rows);
    ScratchPieces pieces(scratch);
    const int64_t stride = row_bytes(transformed.width);
    auto* between = pieces.take<uint8_t>(sources.count() * stride);
    eval.run(frame, sources, {between, stride, sources.begin}, pieces.rest());
    snap->run({between, stride, sources.begin}, rows, dst, pieces.rest());
  }
};

FrameTransform::FrameTransform(Size frame, const TransformSizes& sizes, int64_t bands,
                               const RowKernels& kernels)
    : frame_(frame),
      sizes_(sizes),
      bands_(std::clamp(bands, pieces_of(sizes.snapped.height, kMostBandRows),
                        pieces_of(sizes.snapped.height, kLeastBandRows))),
      steps_(std::make_unique<const Steps>(
          Steps{EvalSteps(frame, sizes, kernels),
                make_bicubic_resizer(sizes.transformed, sizes.snapped, kernels), sizes.transformed,
                sizes.snapped, bands_})) {
  for (int64_t band = 0; band < bands_; ++band) {
    scratch_bytes_ = std::max(scratch_bytes_, whole_lines(steps_->scratch_bytes(band)));
  }
}

FrameTransform::FrameTransform(FrameTransform&&) noexcept = default;
FrameTransform& FrameTransform::operator=(FrameTransform&&) noexcept = default;
FrameTransform::~FrameTransform() = default;

Result<FrameTransform> FrameTransform::create(Size frame, int64_t shortest_edge,
                                              double crop_fraction, int64_t bands) {
  return create(frame, shortest_edge, crop_fraction, bands, *row_kernels().front());
}

Result<FrameTransform> FrameTransform::create(Size frame, int64_t shortest_edge,
                                              double crop_fraction, int64_t bands,
                                              const RowKernels& kernels) {
  SINEW_ASSIGN(const TransformSizes sizes, transform_sizes(frame, shortest_edge, crop_fraction));
  try {
    return FrameTransform(frame, sizes, bands, kernels);
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "no memory for the transform of {}x{} frames", frame.height,
                 frame.width);
  }
}

void FrameTransform::snap(const ImageRef& frame, int64_t band, std::span<uint8_t> dst,
                          std::byte* scratch) const {
  SINEW_CHECK(frame.height == frame_.height && frame.width == frame_.width);
  const int64_t stride = sizes_.snapped.width * kChannels;
  SINEW_CHECK(std::ssize(dst) == sizes_.snapped.height * stride);
  steps_->run(frame, band, {dst.data(), stride}, scratch);
}

Result<Image> eval_transform(const ImageRef& frame, int64_t shortest_edge, double crop_fraction) {
  const Size from{frame.height, frame.width};
  SINEW_ASSIGN(const TransformSizes sizes, transform_sizes(from, shortest_edge, crop_fraction));
  const auto [height, width] = sizes.transformed;
  const int64_t stride = width * kChannels;
  try {
    const EvalSteps steps(from, sizes, *row_kernels().front());
    Image out{height, width, std::vector<uint8_t>(static_cast<size_t>(height * stride))};
    SINEW_ASSIGN(Buffer scratch, Buffer::allocate_for_overwrite(steps.scratch_bytes({0, height})));
    steps.run(frame, {0, height}, {out.pixels.data(), stride}, scratch.data());
    return out;
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "no memory for an image of {}x{}", height, width);
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

}  // namespace sinew::preprocess
