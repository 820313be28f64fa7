#include "dataset/write_video.h"

#include <gtest/gtest.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
}

#include <memory>
#include <stdexcept>
#include <string>

namespace sinew::test {
namespace {

void require(bool condition, const std::string& what) {
  if (!condition) {
    throw std::runtime_error(what);
  }
}

struct InputCloser {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};

struct OutputCloser {
  void operator()(AVFormatContext* context) const {
    avio_closep(&context->pb);
    avformat_free_context(context);
  }
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

using Input = std::unique_ptr<AVFormatContext, InputCloser>;
using Output = std::unique_ptr<AVFormatContext, OutputCloser>;
using Codec = std::unique_ptr<AVCodecContext, CodecCloser>;
using Frame = std::unique_ptr<AVFrame, FrameCloser>;
using Packet = std::unique_ptr<AVPacket, PacketCloser>;

Input open_input(const std::filesystem::path& path) {
  AVFormatContext* context = nullptr;
  require(avformat_open_input(&context, path.c_str(), nullptr, nullptr) >= 0, "open input");
  Input input(context);
  require(avformat_find_stream_info(context, nullptr) >= 0, "stream info");
  require(context->nb_streams == 1, "one stream");
  return input;
}

Output open_output(const std::filesystem::path& path) {
  std::filesystem::create_directories(path.parent_path());
  AVFormatContext* context = nullptr;
  require(avformat_alloc_output_context2(&context, nullptr, "mp4", path.c_str()) >= 0, "output");
  Output output(context);
  require(avio_open(&context->pb, path.c_str(), AVIO_FLAG_WRITE) >= 0, "output file");
  require(avformat_new_stream(context, nullptr) != nullptr, "output stream");
  return output;
}

// Sends `frame` (null: the end) to the encoder and writes what comes out.
void encode(AVCodecContext& encoder, const AVFrame* frame, AVFormatContext& output) {
  const Packet packet(av_packet_alloc());
  require(avcodec_send_frame(&encoder, frame) >= 0, "encode");
  while (avcodec_receive_packet(&encoder, packet.get()) >= 0) {
    packet->stream_index = 0;
    packet->duration = 1;
    av_packet_rescale_ts(packet.get(), encoder.time_base, output.streams[0]->time_base);
    require(av_interleaved_write_frame(&output, packet.get()) >= 0, "write");
  }
}

Codec open_decoder(const AVStream& stream) {
  const AVCodec* codec = avcodec_find_decoder(stream.codecpar->codec_id);
  Codec decoder(avcodec_alloc_context3(codec));
  avcodec_parameters_to_context(decoder.get(), stream.codecpar);
  require(avcodec_open2(decoder.get(), codec, nullptr) >= 0, "open decoder");
  return decoder;
}

struct EncoderChoice {
  const char* name;
  const char* option;
  const char* value;
};

Codec open_encoder(const AVStream& source, const EncoderChoice& choice, int gop) {
  const AVCodec* codec = avcodec_find_encoder_by_name(choice.name);
  require(codec != nullptr, std::string("libavcodec has no encoder ") + choice.name);
  Codec encoder(avcodec_alloc_context3(codec));
  encoder->width = source.codecpar->width;
  encoder->height = source.codecpar->height;
  encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder->time_base = av_inv_q(source.avg_frame_rate);
  encoder->gop_size = gop;
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  encoder->colorspace = source.codecpar->color_space;
  av_opt_set(encoder->priv_data, choice.option, choice.value, 0);
  av_opt_set_int(encoder->priv_data, "cpu-used", 8, 0);  // libaom's; x264 has no such option
  require(avcodec_open2(encoder.get(), codec, nullptr) >= 0, "open encoder");
  return encoder;
}

// The packets of all inputs, the first shifted by `start` frames and each later one by `step` more.
void remux(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& path,
           int start, int step, int fps) {
  const Output output = open_output(path);
  output->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
  AVStream& target = *output->streams[0];
  const Packet packet(av_packet_alloc());
  int64_t shift = 0;
  for (const std::filesystem::path& name : inputs) {
    const Input input = open_input(name);
    const AVStream& source = *input->streams[0];
    if (name == inputs.front()) {
      require(avcodec_parameters_copy(target.codecpar, source.codecpar) >= 0, "parameters");
      target.codecpar->codec_tag = 0;
      target.time_base = source.time_base;
      require(avformat_write_header(output.get(), nullptr) >= 0, "header");
      shift = av_rescale_q(start, {1, fps}, source.time_base);
    }
    while (av_read_frame(input.get(), packet.get()) >= 0) {
      packet->pts += shift;
      packet->dts += shift;
      packet->pos = -1;
      av_packet_rescale_ts(packet.get(), source.time_base, target.time_base);
      require(av_interleaved_write_frame(output.get(), packet.get()) >= 0, "write");
    }
    shift += av_rescale_q(step, {1, fps}, source.time_base);
  }
  require(av_write_trailer(output.get()) >= 0, "trailer");
}

void transcode(const std::filesystem::path& from, const std::filesystem::path& to,
               const EncoderChoice& choice, int gop) {
  const Input input = open_input(from);
  const AVStream& source = *input->streams[0];
  const Codec decoder = open_decoder(source);
  const Codec encoder = open_encoder(source, choice, gop);
  const Output output = open_output(to);
  require(avcodec_parameters_from_context(output->streams[0]->codecpar, encoder.get()) >= 0,
          "parameters");
  output->streams[0]->time_base = encoder->time_base;
  require(avformat_write_header(output.get(), nullptr) >= 0, "header");
  const Packet packet(av_packet_alloc());
  const Frame frame(av_frame_alloc());
  int64_t number = 0;
  bool more = true;
  while (more) {
    more = av_read_frame(input.get(), packet.get()) >= 0;
    require(avcodec_send_packet(decoder.get(), more ? packet.get() : nullptr) >= 0, "decode");
    av_packet_unref(packet.get());
    while (avcodec_receive_frame(decoder.get(), frame.get()) >= 0) {
      frame->pts = number++;
      frame->pict_type = AV_PICTURE_TYPE_NONE;
      encode(*encoder, frame.get(), *output);
    }
  }
  encode(*encoder, nullptr, *output);
  require(av_write_trailer(output.get()) >= 0, "trailer");
}

}  // namespace

void concatenate_videos(const std::vector<std::filesystem::path>& inputs,
                        const std::filesystem::path& output, int frames_each, int fps) {
  EXPECT_NO_THROW(remux(inputs, output, 0, frames_each, fps));
}

void encode_av1(const std::filesystem::path& input, const std::filesystem::path& output, int gop) {
  EXPECT_NO_THROW(transcode(input, output, {"libaom-av1", "aom-params", "lossless=1"}, gop));
}

void encode_open_gop(const std::filesystem::path& input, const std::filesystem::path& output,
                     int gop) {
  EXPECT_NO_THROW(
      transcode(input, output, {"libx264", "x264-params", "open-gop=1:bframes=3:scenecut=0"}, gop));
}

void cut_start(const std::filesystem::path& input, const std::filesystem::path& output, int frames,
               int fps) {
  EXPECT_NO_THROW(remux({input}, output, -frames, 0, fps));
}

}  // namespace sinew::test
