// The two sources of camera frames.
#include "dataset/frames.h"

#include "base/error.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

namespace sinew::dataset {

int64_t VideoIndex::nearest(double time) const {
  const auto later = std::lower_bound(
      pts.begin(), pts.end(), time,
      [this](int64_t stamp, double t) { return static_cast<double>(stamp) * time_base < t; });
  const int64_t after = later - pts.begin();
  if (after == frames()) {
    return after - 1;
  }
  if (after > 0 && time - seconds(after - 1) <= seconds(after) - time) {
    return after - 1;
  }
  return after;
}
namespace {

constexpr int64_t kRowsABatch = 16;  // encoded images held

class VideoFrames final : public FrameSource {
 public:
  VideoFrames(std::unique_ptr<VideoDecoder> decoder, std::vector<int64_t> frame_of_row)
      : decoder_(std::move(decoder)), frame_of_row_(std::move(frame_of_row)) {}

  Result<preprocess::Image> frame(int64_t row) override {
    return decoder_->frame(frame_of_row_.empty() ? row : frame_of_row_[static_cast<size_t>(row)]);
  }

  size_t bytes() const override {
    return decoder_->bytes() + frame_of_row_.capacity() * sizeof(int64_t);
  }

 private:
  std::unique_ptr<VideoDecoder> decoder_;
  std::vector<int64_t> frame_of_row_;
};

// Reads batches forwards and starts over for an earlier row.
class EmbeddedFrames final : public FrameSource {
 public:
  EmbeddedFrames(ParquetFile file, std::string column, RowRange rows)
      : file_(std::move(file)), column_(std::move(column)), rows_(rows) {}

  Result<preprocess::Image> frame(int64_t row) override {
    if (cursor_ == nullptr || row < first_) {
      SINEW_ASSIGN(cursor_, file_.cursor(column_, rows_, kRowsABatch));
      first_ = 0;
      batch_ = {};
    }
    while (row >= first_ + batch_.rows) {
      first_ += batch_.rows;
      SINEW_ASSIGN(batch_, cursor_->next());
      if (batch_.rows == 0 || batch_.kind != Column::Kind::kTexts) {
        cursor_.reset();
        return bad_input("{}: column '{}' holds no encoded image for row {}", file_.where(),
                         column_, row);
      }
    }
    const std::string& encoded = batch_.texts[static_cast<size_t>(row - first_)];
    return preprocess::decode_image(
        std::as_bytes(std::span(encoded)),
        fmt::format("{} column {} row {}", file_.where(), column_, row));
  }

  size_t bytes() const override {
    size_t total = 0;
    for (const std::string& encoded : batch_.texts) {
      total += encoded.capacity();
    }
    return total;
  }

 private:
  ParquetFile file_;
  std::string column_;
  RowRange rows_;
  std::unique_ptr<ParquetFile::Cursor> cursor_;
  int64_t first_ = 0;  // row of the batch's first cell
  Column batch_;
};

}  // namespace

std::unique_ptr<FrameSource> make_video_frames(std::unique_ptr<VideoDecoder> decoder,
                                               std::vector<int64_t> frame_of_row) {
  return std::make_unique<VideoFrames>(std::move(decoder), std::move(frame_of_row));
}

Result<std::unique_ptr<FrameSource>> open_embedded_frames(const std::filesystem::path& data_file,
                                                          const std::string& column,
                                                          RowRange rows) {
  SINEW_ASSIGN(ParquetFile file, ParquetFile::open(data_file));
  return std::unique_ptr<FrameSource>(
      std::make_unique<EmbeddedFrames>(std::move(file), column, rows));
}

}  // namespace sinew::dataset
