// libav behind VideoDecoder: demux, decode, and conversion to RGB as torchcodec does it, so that
// frames equal the original's to the byte.
#include "dataset/video_decoder.h"

#include "base/error.h"
#include "dataset/column.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <utility>

namespace sinew::dataset {
namespace {

constexpr int kMaxSide = 16384;
constexpr int64_t kMaxPixels = int64_t{64} << 20;
// More than a plane of kMaxPixels takes, and less than the tables of a small damaged file claim.
constexpr size_t kMaxAllocation = size_t{768} << 20;
// Converted frames kept: delta indices of one step may ask for the same frame again.
constexpr size_t kFramesKept = 4;
constexpr const char* kFormats = "mov,mp4,matroska,webm";
constexpr const char* kDecoders = "h264,hevc,libdav1d,libaom-av1,av1,vp9,libvpx-vp9,mpeg4";

struct FormatCloser {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};

struct CodecCloser {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
};

struct FrameCloser {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};

struct PacketCloser {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};

struct ScalerCloser {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};

std::string av_text(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

// libav prints to stderr on its own, though what matters comes back as return values, and asks for
// whatever a file claims.
void restrain_libav() {
  static const bool done = [] {
    av_log_set_level(AV_LOG_QUIET);
    av_max_alloc(kMaxAllocation);
    return true;
  }();
  static_cast<void>(done);
}

// The decoder of a codec. AV1 is asked for by name: libav's own "av1" needs hardware, and builds
// differ in which one they prefer.
const AVCodec* find_decoder(AVCodecID id) {
  switch (id) {
    case AV_CODEC_ID_AV1: {
      const AVCodec* dav1d = avcodec_find_decoder_by_name("libdav1d");
      return dav1d != nullptr ? dav1d : avcodec_find_decoder_by_name("libaom-av1");
    }
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_MPEG4:
      return avcodec_find_decoder(id);
    default:
      return nullptr;
  }
}

// A file can name numbers that the library's enumerations do not have, and reading those as what
// they are declared to be is undefined.
template <class Enumeration>
int number_of(const Enumeration& value) {
  static_assert(sizeof(value) == sizeof(int));
  int number = 0;
  std::memcpy(&number, &value, sizeof(number));
  return number;
}

}  // namespace

struct VideoDecoder::Impl {
  std::string where;
  std::unique_ptr<AVFormatContext, FormatCloser> format;
  std::unique_ptr<AVCodecContext, CodecCloser> codec;
  std::unique_ptr<SwsContext, ScalerCloser> scaler;
  std::unique_ptr<AVFrame, FrameCloser> decoded{av_frame_alloc()};
  std::unique_ptr<AVPacket, PacketCloser> packet{av_packet_alloc()};
  int stream = -1;
  VideoIndex own_index;
  const VideoIndex* index = &own_index;
  int64_t next = 0;          // the frame that decoding on would give
  bool positioned = false;   // `next` holds: nothing failed and the decoder is not drained
  std::vector<uint8_t> rgb;  // one frame with padded rows
  std::deque<std::pair<int64_t, preprocess::Image>> kept;  // newest last

  Status open(const std::filesystem::path& path);
  Status open_codec();
  Status scan();
  Status seek(size_t key);
  // Decodes until frame `target`. False when it did not come out: the frames went past it.
  Result<bool> decode_to(int64_t target);
  // The next decoded frame in `decoded`; false at the end of the file.
  Result<bool> decode_next();
  Result<bool> feed();
  Result<preprocess::Image> convert();
};

Status VideoDecoder::Impl::open(const std::filesystem::path& path) {
  restrain_libav();
  where = path.string();
  SINEW_TRY(check_data_file(path));
  if (decoded == nullptr || packet == nullptr) {
    return error(Code::kOutOfMemory, "{}: out of memory", where);
  }
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  av_dict_set(&options, "format_whitelist", kFormats, 0);
  av_dict_set(&options, "codec_whitelist", kDecoders, 0);
  AVFormatContext* context = nullptr;
  // The prefix keeps a path from being taken as another protocol.
  int code = avformat_open_input(&context, ("file:" + where).c_str(), nullptr, &options);
  av_dict_free(&options);
  if (code < 0) {
    return bad_input("{}: cannot be opened as MP4 or Matroska video: {}", where, av_text(code));
  }
  format.reset(context);
  code = avformat_find_stream_info(context, nullptr);
  if (code < 0) {
    return bad_input("{}: no stream can be read: {}", where, av_text(code));
  }
  stream = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (stream < 0) {
    return bad_input("{}: holds no video stream", where);
  }
  for (unsigned i = 0; i < context->nb_streams; ++i) {
    context->streams[i]->discard =
        static_cast<int>(i) == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
  return open_codec();
}

Status VideoDecoder::Impl::open_codec() {
  const AVStream& source = *format->streams[stream];
  const AVCodec* decoder = find_decoder(source.codecpar->codec_id);
  if (decoder == nullptr) {
    return unsupported(
        "{}: no decoder for video codec {}; H.264, HEVC, AV1, VP9 and MPEG-4 are read", where,
        avcodec_get_name(source.codecpar->codec_id));
  }
  codec.reset(avcodec_alloc_context3(decoder));
  if (codec == nullptr) {
    return error(Code::kOutOfMemory, "{}: out of memory", where);
  }
  int code = avcodec_parameters_to_context(codec.get(), source.codecpar);
  if (code >= 0) {
    codec->thread_count = 1;  // frame threads add latency and memory, and episodes run in parallel
    codec->pkt_timebase = source.time_base;
    codec->max_pixels = kMaxPixels;
    code = avcodec_open2(codec.get(), decoder, nullptr);
  }
  if (code < 0) {
    return bad_input("{}: the {} decoder refuses it: {}", where, decoder->name, av_text(code));
  }
  return {};
}

Status VideoDecoder::Impl::scan() {
  struct Entry {
    int64_t pts = 0;
    int64_t dts = 0;
    bool key = false;
    bool shown = false;  // an edit list may cut frames away that others are decoded from
  };

  std::vector<Entry> entries;
  int code = 0;
  while ((code = av_read_frame(format.get(), packet.get())) >= 0) {
    if (packet->stream_index == stream) {
      if (packet->pts == AV_NOPTS_VALUE) {
        return bad_input("{}: frame {} has no time stamp", where, entries.size());
      }
      if ((packet->flags & AV_PKT_FLAG_CORRUPT) != 0) {
        return bad_input("{}: truncated: frame {} is incomplete", where, entries.size());
      }
      const int64_t dts = packet->dts == AV_NOPTS_VALUE ? packet->pts : packet->dts;
      entries.push_back({packet->pts, dts, (packet->flags & AV_PKT_FLAG_KEY) != 0,
                         (packet->flags & AV_PKT_FLAG_DISCARD) == 0});
    }
    av_packet_unref(packet.get());
  }
  if (code != AVERROR_EOF) {
    return bad_input("{}: damaged after {} frames: {}", where, entries.size(), av_text(code));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.pts < b.pts; });
  own_index.time_base = av_q2d(format->streams[stream]->time_base);
  for (const Entry& entry : entries) {
    if (entry.key) {
      own_index.keys.push_back({own_index.frames(), entry.dts});
    }
    if (!entry.shown) {
      continue;
    }
    if (!own_index.pts.empty() && entry.pts == own_index.pts.back()) {
      return bad_input("{}: frames {} and {} have the same time stamp", where,
                       own_index.frames() - 1, own_index.frames());
    }
    own_index.pts.push_back(entry.pts);
  }
  return {};
}

Status VideoDecoder::Impl::seek(size_t key) {
  const int code = av_seek_frame(format.get(), stream, index->keys[key].dts, AVSEEK_FLAG_BACKWARD);
  if (code < 0) {
    return bad_input("{}: seek to frame {} failed: {}", where, index->keys[key].frame,
                     av_text(code));
  }
  avcodec_flush_buffers(codec.get());
  next = index->keys[key].frame;
  return {};
}

Result<bool> VideoDecoder::Impl::feed() {
  while (true) {
    av_packet_unref(packet.get());
    int code = av_read_frame(format.get(), packet.get());
    if (code == AVERROR_EOF) {
      code = avcodec_send_packet(codec.get(), nullptr);
      return code >= 0;
    }
    if (code >= 0 && packet->stream_index != stream) {
      continue;
    }
    if (code >= 0) {
      code = avcodec_send_packet(codec.get(), packet.get());
      av_packet_unref(packet.get());
    }
    if (code < 0) {
      return bad_input("{}: damaged near frame {}: {}", where, next, av_text(code));
    }
    return true;
  }
}

Result<bool> VideoDecoder::Impl::decode_next() {
  while (true) {
    const int code = avcodec_receive_frame(codec.get(), decoded.get());
    if (code >= 0) {
      return true;
    }
    if (code == AVERROR_EOF) {
      return false;
    }
    if (code != AVERROR(EAGAIN)) {
      return bad_input("{}: damaged near frame {}: {}", where, next, av_text(code));
    }
    SINEW_ASSIGN(const bool fed, feed());
    if (!fed) {
      return false;
    }
  }
}

Result<bool> VideoDecoder::Impl::decode_to(int64_t target) {
  while (true) {
    SINEW_ASSIGN(const bool more, decode_next());
    if (!more) {
      return false;
    }
    const auto found =
        std::lower_bound(index->pts.begin(), index->pts.end(), decoded->best_effort_timestamp);
    const int64_t frame = found - index->pts.begin();
    const bool exact = found != index->pts.end() && *found == decoded->best_effort_timestamp;
    next = exact ? frame + 1 : frame;
    if (frame >= target) {
      return exact && frame == target;
    }
  }
}

Result<preprocess::Image> VideoDecoder::Impl::convert() {
  const AVFrame& source = *decoded;
  if (source.width <= 0 || source.height <= 0 || source.width > kMaxSide ||
      source.height > kMaxSide) {
    return bad_input("{}: frames of {} x {} pixels are not read (at most {} a side)", where,
                     source.width, source.height, kMaxSide);
  }
  const auto pixel_format = static_cast<AVPixelFormat>(source.format);
  scaler.reset(sws_getCachedContext(scaler.release(), source.width, source.height, pixel_format,
                                    source.width, source.height, AV_PIX_FMT_RGB24, SWS_BILINEAR,
                                    nullptr, nullptr, nullptr));
  if (scaler == nullptr) {
    return unsupported("{}: no conversion of pixel format {} to RGB", where, source.format);
  }
  // The frame's own matrix (BT.601 when it names none) and range; RGB is full range.
  const int* table = sws_getCoefficients(number_of(source.colorspace));
  const bool full = number_of(source.color_range) == AVCOL_RANGE_JPEG ||
                    pixel_format == AV_PIX_FMT_YUVJ420P || pixel_format == AV_PIX_FMT_YUVJ422P ||
                    pixel_format == AV_PIX_FMT_YUVJ444P;
  constexpr int kNeutral = 1 << 16;
  sws_setColorspaceDetails(scaler.get(), table, full ? 1 : 0, table, 1, 0, kNeutral, kNeutral);
  // swscale's vector code writes whole blocks: rows are padded, then packed.
  constexpr int kPadding = 64;
  const int stride = (source.width * 3 + kPadding) / kPadding * kPadding + kPadding;
  rgb.resize(static_cast<size_t>(stride) * static_cast<size_t>(source.height) + kPadding);
  const std::array<uint8_t*, 4> planes{rgb.data(), nullptr, nullptr, nullptr};
  const std::array<int, 4> strides{stride, 0, 0, 0};
  const int lines = sws_scale(scaler.get(), source.data, source.linesize, 0, source.height,
                              planes.data(), strides.data());
  if (lines != source.height) {
    return bad_input("{}: conversion to RGB failed near frame {}", where, next);
  }
  preprocess::Image image{source.height, source.width, {}};
  const size_t row_bytes = static_cast<size_t>(source.width) * 3;
  image.pixels.resize(row_bytes * static_cast<size_t>(source.height));
  for (int y = 0; y < source.height; ++y) {
    const uint8_t* row = rgb.data() + static_cast<size_t>(y) * static_cast<size_t>(stride);
    std::copy_n(row, row_bytes, image.pixels.data() + static_cast<size_t>(y) * row_bytes);
  }
  return image;
}

VideoDecoder::VideoDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

VideoDecoder::~VideoDecoder() = default;

Result<std::unique_ptr<VideoDecoder>> VideoDecoder::open(const std::filesystem::path& path,
                                                         const VideoIndex* index) {
  auto impl = std::make_unique<Impl>();
  SINEW_TRY(impl->open(path));
  if (index != nullptr) {
    impl->index = index;
  } else {
    SINEW_TRY(impl->scan());
  }
  return std::unique_ptr<VideoDecoder>(new VideoDecoder(std::move(impl)));
}

const VideoIndex& VideoDecoder::index() const {
  return *impl_->index;
}

Result<preprocess::Image> VideoDecoder::frame(int64_t frame) {
  Impl& impl = *impl_;
  if (frame < 0 || frame >= impl.index->frames()) {
    return bad_input("{}: frame {} of {}", impl.where, frame, impl.index->frames());
  }
  for (const auto& [number, image] : impl.kept) {
    if (number == frame) {
      return image;
    }
  }
  // The last key frame at or before the target.
  const auto& keys = impl.index->keys;
  const auto after = std::upper_bound(
      keys.begin(), keys.end(), frame,
      [](int64_t target, const VideoIndex::KeyFrame& key) { return target < key.frame; });
  auto key = static_cast<size_t>(after - keys.begin());
  if (key == 0) {
    return bad_input("{}: no key frame at or before frame {}", impl.where, frame);
  }
  --key;
  bool reached = false;
  if (std::exchange(impl.positioned, false) && impl.next <= frame && keys[key].frame <= impl.next) {
    SINEW_ASSIGN(reached, impl.decode_to(frame));
  }
  // An open group of pictures may not give its first frames: start one key frame earlier then.
  for (size_t back = 0; !reached && back <= key; ++back) {
    SINEW_TRY(impl.seek(key - back));
    SINEW_ASSIGN(reached, impl.decode_to(frame));
  }
  if (!reached) {
    return bad_input("{}: frame {} does not decode", impl.where, frame);
  }
  if (impl.decoded->decode_error_flags != 0 || (impl.decoded->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
    return bad_input("{}: frame {} is damaged", impl.where, frame);
  }
  impl.positioned = true;
  SINEW_ASSIGN(preprocess::Image image, impl.convert());
  if (impl.kept.size() == kFramesKept) {
    impl.kept.pop_front();
  }
  impl.kept.emplace_back(frame, image);
  return image;
}

size_t VideoDecoder::bytes() const {
  size_t total = impl_->rgb.capacity() + impl_->own_index.pts.capacity() * sizeof(int64_t) +
                 impl_->own_index.keys.capacity() * sizeof(VideoIndex::KeyFrame);
  for (const auto& [number, image] : impl_->kept) {
    total += image.pixels.capacity();
  }
  return total;
}

}  // namespace sinew::dataset
