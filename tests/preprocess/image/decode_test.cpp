// Decoding of every kind of PNG and JPEG, and of files that are broken or lie about their size.
#include "preprocess/image/image.h"
#include "preprocess/image/image_testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <turbojpeg.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sinew::preprocess {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// And holds the header's word on the size against it.
Result<Image> decode(const std::string& file) {
  const auto bytes = std::as_bytes(std::span(file));
  Result<Image> image = decode_image(bytes, "frame");
  const Result<Size> size = image_size(bytes, "frame");
  if (image.ok()) {
    EXPECT_TRUE(size.ok()) << size.status().message();
    EXPECT_EQ(size.value(), (Size{image.value().height, image.value().width}));
  } else if (!size.ok()) {
    EXPECT_EQ(size.status().message(), image.status().message());
  }
  return image;
}

std::vector<int> levels_of(const std::string& file) {
  const auto image = decode(file);
  EXPECT_TRUE(image.ok()) << image.status().message();
  return image.ok() ? std::vector<int>(image.value().pixels.begin(), image.value().pixels.end())
                    : std::vector<int>();
}

struct PngSpec {
  uint32_t height = 1;
  uint32_t width = 1;
  int depth = 8;
  int colour_type = PNG_COLOR_TYPE_RGB;
  std::string rows{};  // packed as the file stores them, no padding between rows
  int interlace = PNG_INTERLACE_NONE;
  std::vector<png_color> palette{};
  std::string palette_alpha{};
};

void append_to_string(png_structp png, png_bytep data, size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(data), size);
}

std::string make_png(const PngSpec& spec) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &file, append_to_string, [](png_structp) {});
  png_set_IHDR(png, info, spec.width, spec.height, spec.depth, spec.colour_type, spec.interlace,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!spec.palette.empty()) {
    png_set_PLTE(png, info, spec.palette.data(), static_cast<int>(spec.palette.size()));
  }
  if (!spec.palette_alpha.empty()) {
    png_set_tRNS(png, info, reinterpret_cast<png_const_bytep>(spec.palette_alpha.data()),
                 static_cast<int>(spec.palette_alpha.size()), nullptr);
  }
  png_write_info(png, info);
  const size_t row_bytes = spec.rows.size() / spec.height;
  std::string rows = spec.rows;
  std::vector<png_bytep> pointers;
  for (size_t y = 0; y < spec.height; ++y) {
    pointers.push_back(reinterpret_cast<png_bytep>(rows.data() + y * row_bytes));
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) {
    text.push_back(static_cast<char>(value));
  }
  return text;
}

std::string encode(const Image& image) {
  auto file = encode_png(image);
  EXPECT_TRUE(file.ok()) << file.status().message();
  return file.ok() ? std::move(file).value() : std::string();
}

std::string make_jpeg(const Image& image, int subsampling, int flags, int format = TJPF_RGB) {
  const std::unique_ptr<void, int (*)(void*)> handle(tjInitCompress(), tjDestroy);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  const auto width = static_cast<int>(image.pixels.size() / static_cast<size_t>(image.height)) /
                     tjPixelSize[format];
  EXPECT_EQ(tjCompress2(handle.get(), image.pixels.data(), width, 0, static_cast<int>(image.height),
                        format, &data, &size, subsampling, 80, flags),
            0);
  std::string file(reinterpret_cast<char*>(data), size);
  tjFree(data);
  return file;
}

void put_u32(std::string& file, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) {
    file[at + i] = static_cast<char>((value >> (24 - 8 * i)) & 255U);
  }
}

// Overwrites the size in the header and repairs its checksum.
void claim_png_size(std::string& file, uint32_t height, uint32_t width) {
  put_u32(file, 16, width);
  put_u32(file, 20, height);
  put_u32(file, 29, static_cast<uint32_t>(crc32(0, reinterpret_cast<Bytef*>(&file[12]), 17)));
}

TEST(DecodePng, RgbRoundTrip) {
  const Image frame = synthetic_frame(23, 31);
  const auto image = decode(encode(frame));
  ASSERT_TRUE(image.ok()) << image.status().message();
  EXPECT_EQ(image.value().height, 23);
  EXPECT_EQ(image.value().width, 31);
  EXPECT_EQ(image.value().pixels, frame.pixels);
}

TEST(DecodePng, GreyOfEveryDepth) {
  EXPECT_THAT(levels_of(make_png({1, 2, 8, PNG_COLOR_TYPE_GRAY, bytes({7, 200})})),
              ElementsAre(7, 7, 7, 200, 200, 200));
  EXPECT_THAT(levels_of(make_png({1, 2, 1, PNG_COLOR_TYPE_GRAY, bytes({0x40})})),
              ElementsAre(0, 0, 0, 255, 255, 255));
  EXPECT_THAT(levels_of(make_png({1, 2, 2, PNG_COLOR_TYPE_GRAY, bytes({0x60})})),
              ElementsAre(85, 85, 85, 170, 170, 170));
  EXPECT_THAT(levels_of(make_png({1, 2, 4, PNG_COLOR_TYPE_GRAY, bytes({0x1f})})),
              ElementsAre(17, 17, 17, 255, 255, 255));
}

TEST(DecodePng, Palette) {
  PngSpec spec{1, 2, 4, PNG_COLOR_TYPE_PALETTE, bytes({0x21})};
  spec.palette = {{0, 0, 0}, {1, 2, 3}, {40, 50, 60}};
  EXPECT_THAT(levels_of(make_png(spec)), ElementsAre(40, 50, 60, 1, 2, 3));
  spec.palette_alpha = bytes({255, 255, 0});  // the last colour is transparent
  EXPECT_THAT(levels_of(make_png(spec)), ElementsAre(255, 255, 255, 1, 2, 3));
}

TEST(DecodePng, AlphaLiesOverWhite) {
  EXPECT_THAT(levels_of(make_png({1, 3, 8, PNG_COLOR_TYPE_RGBA,
                                  bytes({10, 20, 30, 255, 10, 20, 30, 0, 1, 100, 255, 128})})),
              ElementsAre(10, 20, 30, 255, 255, 255, 128, 177, 255));
  EXPECT_THAT(levels_of(make_png({1, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, bytes({0, 128})})),
              ElementsAre(127, 127, 127));
}

TEST(DecodePng, SixteenBitsAreScaled) {
  EXPECT_THAT(levels_of(make_png(
                  {1, 1, 16, PNG_COLOR_TYPE_RGB, bytes({0xff, 0xff, 0x80, 0x80, 0x00, 0xff})})),
              ElementsAre(255, 128, 1));
  EXPECT_THAT(levels_of(make_png({1, 1, 16, PNG_COLOR_TYPE_GRAY, bytes({0x12, 0x34})})),
              ElementsAre(18, 18, 18));
}

TEST(DecodePng, InterlacedEqualsPlain) {
  const Image frame = synthetic_frame(19, 21);
  PngSpec spec{19, 21, 8, PNG_COLOR_TYPE_RGB, {frame.pixels.begin(), frame.pixels.end()}};
  spec.interlace = PNG_INTERLACE_ADAM7;
  const auto image = decode(make_png(spec));
  ASSERT_TRUE(image.ok()) << image.status().message();
  EXPECT_EQ(image.value().pixels, frame.pixels);
}

// Made with Pillow 11.3 (libjpeg-turbo 3.1.1) from the synthetic frame; the checksums are of its
// decoder's output.
TEST(DecodeJpeg, EqualsTheOriginalsDecoder) {
  struct Row {
    const char* name;
    uint32_t checksum;
  };

  const Row rows[] = {
      {"baseline_420", 0x7959d26b},
      {"baseline_422", 0xa08650eb},
      {"progressive_444", 0x5f06d0b7},
      {"grey", 0x07936e9e},
  };
  for (const Row& row : rows) {
    const auto image = read_image(std::string("tests/preprocess/image/data/") + row.name + ".jpg");
    ASSERT_TRUE(image.ok()) << image.status().message();
    EXPECT_EQ(image.value().height, 29);
    EXPECT_EQ(image.value().width, 37);
    EXPECT_EQ(checksum(image.value()), row.checksum) << row.name;
  }
}

TEST(DecodeJpeg, RefusesCmyk) {
  Image cmyk = synthetic_frame(8, 8);  // 8 rows of 6 CMYK pixels
  const auto image = decode(make_jpeg(cmyk, TJSAMP_444, 0, TJPF_CMYK));
  EXPECT_EQ(image.status().code(), Code::kUnsupported);
  EXPECT_THAT(image.status().message(), HasSubstr("CMYK"));
}

// No part of a file but the whole is a frame, whatever the format.
TEST(DecodeImage, RefusesEveryTruncation) {
  const Image frame = synthetic_frame(9, 11);
  PngSpec interlaced{9, 11, 8, PNG_COLOR_TYPE_RGB, {frame.pixels.begin(), frame.pixels.end()}};
  interlaced.interlace = PNG_INTERLACE_ADAM7;
  const std::string files[] = {encode(frame), make_png(interlaced), make_jpeg(frame, TJSAMP_420, 0),
                               make_jpeg(frame, TJSAMP_444, TJFLAG_PROGRESSIVE)};
  for (const std::string& file : files) {
    ASSERT_TRUE(decode(file).ok());
    for (size_t size = 0; size < file.size(); ++size) {
      const auto image = decode(file.substr(0, size));
      ASSERT_EQ(image.status().code(), Code::kBadInput) << size << " of " << file.size();
      ASSERT_THAT(image.status().message(), HasSubstr("frame"));
    }
  }
}

// A changed byte may go unnoticed (JPEG has no checksums); it may not do harm.
TEST(DecodeImage, SurvivesEveryChangedByte) {
  const Image frame = synthetic_frame(6, 7);
  const std::string files[] = {encode(frame), make_jpeg(frame, TJSAMP_420, 0),
                               make_jpeg(frame, TJSAMP_420, TJFLAG_PROGRESSIVE)};
  for (const std::string& file : files) {
    for (size_t at = 0; at < file.size(); ++at) {
      for (const int change : {0x01, 0x10, 0x80, 0xff}) {
        std::string broken = file;
        broken[at] = static_cast<char>(broken[at] ^ change);
        const auto image = decode(broken);
        if (image.ok()) {
          const Image& out = image.value();
          ASSERT_EQ(out.pixels.size(), static_cast<size_t>(out.height * out.width * 3));
        } else {
          ASSERT_FALSE(image.status().message().empty());
        }
      }
    }
  }
}

TEST(DecodePng, RefusesACorruptChunk) {
  std::string file = encode(synthetic_frame(6, 7));
  char& crc = file[file.size() - 13];  // the last byte of the pixels' chunk; 12 of IEND follow
  crc = static_cast<char>(crc ^ 1);
  const auto image = decode(file);
  EXPECT_EQ(image.status().code(), Code::kBadInput);
  EXPECT_THAT(image.status().message(), HasSubstr("CRC"));
}

TEST(DecodeImage, RefusesOversizeBeforeAllocating) {
  std::string png = encode(synthetic_frame(4, 4));
  claim_png_size(png, 1, 16385);
  EXPECT_THAT(decode(png).status().message(), HasSubstr("1x16385"));
  claim_png_size(png, 16384, 16384);
  EXPECT_THAT(decode(png).status().message(), HasSubstr("67108864"));
  claim_png_size(png, 0x7fffffff, 0x7fffffff);
  EXPECT_THAT(decode(png).status().message(), HasSubstr("2147483647x2147483647"));

  std::string jpeg = make_jpeg(synthetic_frame(4, 4), TJSAMP_420, 0);
  const size_t header = jpeg.find("\xff\xc0");
  ASSERT_NE(header, std::string::npos);
  put_u32(jpeg, header + 5, 0xea60ea60);  // height and width
  EXPECT_THAT(decode(jpeg).status().message(), HasSubstr("60000x60000"));
}

TEST(DecodeImage, RefusesOtherFiles) {
  EXPECT_EQ(decode("").status().code(), Code::kBadInput);
  EXPECT_THAT(decode("GIF89a").status().message(), HasSubstr("expected a PNG or JPEG"));
  EXPECT_EQ(read_image("tests/preprocess/image/data/missing.png").status().code(), Code::kNotFound);
}

TEST(EncodePng, RefusesEmptyFrames) {
  EXPECT_EQ(encode_png(ImageRef()).status().code(), Code::kBadInput);
}

}  // namespace
}  // namespace sinew::preprocess
