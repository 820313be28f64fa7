// What a build without Arrow and libav says of data sets (SINEW_MEDIA=OFF): the rest of the engine
// runs on machines that have neither.
#include "base/check.h"
#include "base/error.h"
#include "dataset/parquet_table.h"
#include "dataset/video_decoder.h"

namespace sinew::dataset {
namespace {

Status no_media(const std::filesystem::path& path) {
  return unsupported(
      "{}: this build reads no data sets (it was configured with SINEW_MEDIA=OFF): use a build with "
      "SINEW_MEDIA=ON",
      path.string());
}

}  // namespace

struct ParquetFile::Impl {
  std::vector<std::string> columns;
  std::string where;
};

Result<ParquetFile> ParquetFile::open(const std::filesystem::path& path) {
  SINEW_TRY(check_data_file(path));
  return no_media(path);
}

ParquetFile::ParquetFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ParquetFile::ParquetFile(ParquetFile&&) noexcept = default;
ParquetFile& ParquetFile::operator=(ParquetFile&&) noexcept = default;
ParquetFile::~ParquetFile() = default;

int64_t ParquetFile::rows() const {
  return 0;
}

const std::vector<std::string>& ParquetFile::columns() const {
  return impl_->columns;
}

bool ParquetFile::has_column(std::string_view /*name*/) const {
  return false;
}

const std::string& ParquetFile::where() const {
  return impl_->where;
}

Result<std::vector<Column>> ParquetFile::read(const std::vector<std::string>& /*columns*/,
                                              RowRange /*range*/) const {
  return no_media(impl_->where);
}

Result<RowRange> ParquetFile::rows_equal(const std::string& /*column*/, int64_t /*value*/) const {
  return no_media(impl_->where);
}

Result<std::unique_ptr<ParquetFile::Cursor>> ParquetFile::cursor(const std::string& /*column*/,
                                                                 RowRange /*range*/,
                                                                 int64_t /*batch_rows*/) const {
  return no_media(impl_->where);
}

struct VideoDecoder::Impl {
  VideoIndex index;
};

VideoDecoder::VideoDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

VideoDecoder::~VideoDecoder() = default;

Result<std::unique_ptr<VideoDecoder>> VideoDecoder::open(const std::filesystem::path& path,
                                                         const VideoIndex* /*index*/) {
  SINEW_TRY(check_data_file(path));
  return no_media(path);
}

const VideoIndex& VideoDecoder::index() const {
  return impl_->index;
}

Result<preprocess::Image> VideoDecoder::frame(int64_t /*frame*/) {
  return no_media("video");
}

size_t VideoDecoder::bytes() const {
  return 0;
}

}  // namespace sinew::dataset
