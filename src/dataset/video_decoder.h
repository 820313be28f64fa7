// Frames of a video file, exact by index in presentation order (spec/dataset.md section 1.7).
// video_decoder.cpp is the only file of the project that sees libav.
#pragma once

#include "preprocess/image/image.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sinew::dataset {

// Where every frame of a file lies, from its packets alone: nothing is decoded to make it.
struct VideoIndex {
  struct KeyFrame {
    int64_t frame = 0;  // the first frame shown at or after it
    int64_t dts = 0;    // what the demuxer seeks by, in time-base units
  };

  std::vector<int64_t> pts;    // [frames], ascending, in time-base units
  std::vector<KeyFrame> keys;  // by frame
  double time_base = 0;        // seconds a unit

  int64_t frames() const { return static_cast<int64_t>(pts.size()); }

  double seconds(int64_t frame) const {
    return static_cast<double>(pts[static_cast<size_t>(frame)]) * time_base;
  }

  // The frame whose time is nearest to `time`; -1 when there are no frames.
  int64_t nearest(double time) const;
};

// Decodes forwards for rising indices and seeks otherwise. Holds one decoder and a few converted
// frames, whatever the length of the file. Not thread-safe.
class VideoDecoder {
 public:
  // `index` of an earlier open of the same file saves reading its packets again; it must outlive
  // the decoder. Errors: missing
  // file, git-LFS pointer, not a video, no video stream, codec not among H.264, HEVC, AV1, VP9,
  // MPEG-4, frames without time stamps.
  static Result<std::unique_ptr<VideoDecoder>> open(const std::filesystem::path& path,
                                                    const VideoIndex* index = nullptr);
  ~VideoDecoder();
  VideoDecoder(const VideoDecoder&) = delete;
  VideoDecoder& operator=(const VideoDecoder&) = delete;

  const VideoIndex& index() const;

  // RGB of frame `frame`. Errors: index out of range, data that do not decode, a
  // frame that the decoder had to repair.
  Result<preprocess::Image> frame(int64_t frame);

  size_t bytes() const;  // of the index and the frames held

 private:
  struct Impl;
  explicit VideoDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sinew::dataset
