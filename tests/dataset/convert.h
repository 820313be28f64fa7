// The golden v2.1 data set in the other layouts and codecs that sinew reads. Every copy holds the
// same rows, texts and frames, so that any difference in what is read is a fault of the reader.
#pragma once

#include "dataset/write_parquet.h"

#include <filesystem>

namespace sinew::test {

enum class VideoForm {
  kH264,   // the golden files' own packets
  kAv1,    // lossless
  kImages  // PNG embedded in the data file
};

// v2.0 or v2.1 with the given kind of video.
void convert_to_v2(const std::filesystem::path& folder, const char* version, VideoForm form,
                   const WriteOptions& options = {});

// v3.0: both episodes in one data file and one video a camera.
void convert_to_v3(const std::filesystem::path& folder, VideoForm form,
                   const WriteOptions& options = {});

}  // namespace sinew::test
