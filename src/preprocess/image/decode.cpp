// Camera frames from PNG and JPEG files. Both libraries see hostile bytes here: sizes are checked
// before anything is allocated, and whatever the library would only warn about is an error.
#include "base/error.h"
#include "io/file.h"
#include "preprocess/image/image.h"
#include "preprocess/image/png_error.h"

#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sinew::preprocess {
namespace {

constexpr int64_t kRgb = 3;
constexpr int64_t kRgba = 4;

Status check_frame_size(const std::string& where, const char* format, int64_t height,
                        int64_t width) {
  if (height < 1 || width < 1 || height > kMaxImageSide || width > kMaxImageSide ||
      height * width > kMaxImagePixels) {
    return bad_input(
        "{}: {} frame of {}x{} (height x width), expected sides of 1 to {} and at most {} "
        "pixels in all",
        where, format, height, width, kMaxImageSide, kMaxImagePixels);
  }
  return {};
}

// ---- PNG ---------------------------------------------------------------------------------------

struct PngReader {
  PngError error{};  // before png, whose handlers write it
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::byte> rest;  // not read yet

  explicit PngReader(std::span<const std::byte> file)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &error, on_png_error, on_png_warning)),
        rest(file) {
    if (png != nullptr) {
      info = png_create_info_struct(png);
    }
  }

  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void read_bytes(png_structp png, png_bytep data, size_t size) {
  auto* rest = static_cast<std::span<const std::byte>*>(png_get_io_ptr(png));
  if (size > rest->size()) {
    png_error(png, "the file ends too early");
  }
  std::memcpy(data, rest->data(), size);
  *rest = rest->subspan(size);
}

struct PngHeader {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;  // of the rows that libpng will deliver: 3, or 4 with alpha
};

// The three functions below are where libpng jumps back to, so nothing in them needs a destructor.
// False: reader.error says why.
bool read_png_size(PngReader& reader, PngHeader& header) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) {
    return false;
  }
  png_set_read_fn(reader.png, &reader.rest, read_bytes);
  // Our limits are checked by the caller, with a message of its own.
  png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  // Colour profiles, text and the like do not change what the original's decoder returns.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(reader.png, reader.info);
  header.height = png_get_image_height(reader.png, reader.info);
  header.width = png_get_image_width(reader.png, reader.info);
  return true;
}

bool start_png_rows(PngReader& reader, PngHeader& header) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) {
    return false;
  }
  png_set_expand(reader.png);    // palettes, fewer than 8 bits, transparent colours
  png_set_scale_16(reader.png);  // rounds, which dropping the low byte would not
  png_set_gray_to_rgb(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  header.channels = png_get_channels(reader.png, reader.info);
  return true;
}

bool read_png_rows(PngReader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) {
    return false;
  }
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);  // a file without its last chunk was cut off
  return true;
}

// Alpha over white, to the nearest level.
uint8_t over_white(uint8_t value, uint8_t alpha) {
  return static_cast<uint8_t>((255 * (255 - alpha) + value * alpha + 127) / 255);
}

std::vector<uint8_t> drop_alpha(const std::vector<uint8_t>& rgba) {
  std::vector<uint8_t> rgb(rgba.size() / kRgba * kRgb);
  const uint8_t* in = rgba.data();
  for (size_t i = 0; i < rgb.size(); i += kRgb, in += kRgba) {
    rgb[i] = over_white(in[0], in[3]);
    rgb[i + 1] = over_white(in[1], in[3]);
    rgb[i + 2] = over_white(in[2], in[3]);
  }
  return rgb;
}

// The size, within the limits on frames.
Status open_png(const std::string& where, PngReader& reader, PngHeader& header) {
  if (reader.info == nullptr) {
    return error(Code::kOutOfMemory, "{}: libpng could not start", where);
  }
  if (!read_png_size(reader, header)) {
    return bad_input("{}: broken PNG: {}", where, reader.error.text());
  }
  return check_frame_size(where, "PNG", header.height, header.width);
}

Result<Image> decode_png(std::span<const std::byte> file, const std::string& where) {
  PngReader reader(file);
  PngHeader header;
  SINEW_TRY(open_png(where, reader, header));
  if (!start_png_rows(reader, header)) {
    return bad_input("{}: broken PNG: {}", where, reader.error.text());
  }
  if (header.channels != kRgb && header.channels != kRgba) {
    return internal_error("{}: libpng delivers {} channels", where, header.channels);
  }
  const int64_t row_bytes = header.width * header.channels;
  std::vector<uint8_t> pixels(static_cast<size_t>(header.height * row_bytes));
  std::vector<png_bytep> rows;
  rows.reserve(static_cast<size_t>(header.height));
  for (int64_t y = 0; y < header.height; ++y) {
    rows.push_back(pixels.data() + y * row_bytes);
  }
  if (!read_png_rows(reader, rows.data())) {
    return bad_input("{}: broken PNG: {}", where, reader.error.text());
  }
  return Image{header.height, header.width,
               header.channels == kRgba ? drop_alpha(pixels) : std::move(pixels)};
}

// ---- JPEG --------------------------------------------------------------------------------------

struct CloseJpeg {
  void operator()(void* handle) const { tjDestroy(handle); }
};

struct JpegReader {
  std::unique_ptr<void, CloseJpeg> handle{tjInitDecompress()};
  const unsigned char* bytes;
  unsigned long size;
  int width = 0;
  int height = 0;

  explicit JpegReader(std::span<const std::byte> file)
      : bytes(reinterpret_cast<const unsigned char*>(file.data())), size(file.size()) {}
};

// The size, within the limits on frames.
Status open_jpeg(const std::string& where, JpegReader& reader) {
  if (reader.handle == nullptr) {
    return error(Code::kOutOfMemory, "{}: libturbojpeg could not start", where);
  }
  int subsampling = 0;
  int colours = 0;
  if (tjDecompressHeader3(reader.handle.get(), reader.bytes, reader.size, &reader.width,
                          &reader.height, &subsampling, &colours) != 0) {
    return bad_input("{}: broken JPEG: {}", where, tjGetErrorStr2(reader.handle.get()));
  }
  SINEW_TRY(check_frame_size(where, "JPEG", reader.height, reader.width));
  if (colours == TJCS_CMYK || colours == TJCS_YCCK) {
    return unsupported("{}: JPEG in CMYK colours; convert it to RGB", where);
  }
  return {};
}

// The settings of the original's decoder: the accurate integer transform and smooth chroma
// upsampling, which are also turbojpeg's defaults.
Result<Image> decode_jpeg(std::span<const std::byte> file, const std::string& where) {
  JpegReader reader(file);
  SINEW_TRY(open_jpeg(where, reader));
  Image image{
      reader.height, reader.width,
      std::vector<uint8_t>(static_cast<size_t>(int64_t{reader.height} * reader.width * kRgb))};
  // turbojpeg reports warnings (missing data, above all) as failures; stopping at the first one and
  // at a mad number of scans keeps hostile files cheap.
  constexpr int kFlags = TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS;
  if (tjDecompress2(reader.handle.get(), reader.bytes, reader.size, image.pixels.data(),
                    reader.width, 0, reader.height, TJPF_RGB, kFlags) != 0) {
    return bad_input("{}: broken JPEG: {}", where, tjGetErrorStr2(reader.handle.get()));
  }
  return image;
}

bool starts_with(std::span<const std::byte> file, std::span<const uint8_t> magic) {
  return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
}

bool is_png(std::span<const std::byte> file) {
  static constexpr std::array<uint8_t, 8> kMagic = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return starts_with(file, kMagic);
}

bool is_jpeg(std::span<const std::byte> file) {
  static constexpr std::array<uint8_t, 3> kMagic = {0xff, 0xd8, 0xff};
  return starts_with(file, kMagic);
}

Status neither(std::span<const std::byte> file, const std::string& where) {
  return bad_input("{}: expected a PNG or JPEG file, found {} bytes of something else", where,
                   file.size());
}

}  // namespace

Result<Size> image_size(std::span<const std::byte> file, const std::string& where) {
  if (is_png(file)) {
    PngReader reader(file);
    PngHeader header;
    SINEW_TRY(open_png(where, reader, header));
    return Size{header.height, header.width};
  }
  if (is_jpeg(file)) {
    JpegReader reader(file);
    SINEW_TRY(open_jpeg(where, reader));
    return Size{reader.height, reader.width};
  }
  return neither(file, where);
}

Result<Image> decode_image(std::span<const std::byte> file, const std::string& where) {
  try {
    if (is_png(file)) {
      return decode_png(file, where);
    }
    if (is_jpeg(file)) {
      return decode_jpeg(file, where);
    }
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "{}: no memory for the frame", where);
  }
  return neither(file, where);
}

Result<Image> read_image(const std::filesystem::path& path) {
  SINEW_ASSIGN(const std::string file, io::read_file(path));
  return decode_image(std::as_bytes(std::span(file)), path.string());
}

}  // namespace sinew::preprocess
