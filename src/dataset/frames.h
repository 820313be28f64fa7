// One camera of one episode as frames by row: out of a video file, or out of PNG or JPEG bytes
// embedded in the data file (spec/dataset.md sections 1.7 and 5).
#pragma once

#include "dataset/parquet_table.h"
#include "dataset/video_decoder.h"
#include "preprocess/image/image.h"

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sinew::dataset {

class FrameSource {
 public:
  virtual ~FrameSource() = default;
  // `row` is within the episode: 0 <= row < length.
  virtual Result<preprocess::Image> frame(int64_t row) = 0;
  virtual size_t bytes() const = 0;
};

// Row r is frame frame_of_row[r] of the video; an empty table means frame r.
std::unique_ptr<FrameSource> make_video_frames(std::unique_ptr<VideoDecoder> decoder,
                                               std::vector<int64_t> frame_of_row);

// Rows [first, first + count) of `column` of the data file hold encoded images. Opens the file; a
// few encoded frames are held.
Result<std::unique_ptr<FrameSource>> open_embedded_frames(const std::filesystem::path& data_file,
                                                          const std::string& column, RowRange rows);

}  // namespace sinew::dataset
