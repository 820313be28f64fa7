// RGB frames to PNG, for dumps and reports.
#include "base/error.h"
#include "preprocess/image/image.h"
#include "preprocess/image/png_error.h"

#include <png.h>

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace sinew::preprocess {
namespace {

struct Writer {
  PngError error{};  // before png, whose handlers write it
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string file{};

  Writer()
      : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &error, on_png_error, on_png_warning)) {
    if (png != nullptr) {
      info = png_create_info_struct(png);
    }
  }

  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  ~Writer() { png_destroy_write_struct(&png, &info); }
};

void append(png_structp png, png_bytep data, size_t size) {
  auto* file = static_cast<std::string*>(png_get_io_ptr(png));
  bool stored = true;
  try {
    file->append(reinterpret_cast<const char*>(data), size);
  } catch (const std::exception&) {
    stored = false;
  }
  if (!stored) {  // after the handler has ended: png_error jumps
    png_error(png, "out of memory");
  }
}

void flush(png_structp) {}

// False once libpng has jumped here with an error. Nothing in this function needs a destructor.
bool write_image(Writer& writer, const ImageRef& image) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) {
    return false;
  }
  png_set_write_fn(writer.png, &writer.file, append, flush);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  for (int64_t y = 0; y < image.height; ++y) {
    png_write_row(writer.png, image.pixels + y * image.width * 3);
  }
  png_write_end(writer.png, writer.info);
  return true;
}

}  // namespace

Result<std::string> encode_png(const ImageRef& image) {
  if (image.height < 1 || image.width < 1 || image.height > kMaxImageSide ||
      image.width > kMaxImageSide) {
    return bad_input("PNG: cannot store {}x{} (height x width), expected sides of 1 to {}",
                     image.height, image.width, kMaxImageSide);
  }
  Writer writer;
  if (writer.info == nullptr) {
    return error(Code::kOutOfMemory, "PNG: libpng could not start");
  }
  if (!write_image(writer, image)) {
    return internal_error("PNG of {}x{}: {}", image.height, image.width, writer.error.text());
  }
  return std::move(writer.file);
}

}  // namespace sinew::preprocess
