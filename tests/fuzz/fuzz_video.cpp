// Videos from hostile bytes: whatever decodes has exactly the pixels that its size claims.
#include "base/check.h"
#include "dataset/video_decoder.h"
#include "memory_file.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const sinew::test::MemoryFile memory(data, size);
  const auto opened = sinew::dataset::VideoDecoder::open(memory.path());
  if (!opened.ok()) {
    SINEW_CHECK(!opened.status().message().empty());
    return 0;
  }
  sinew::dataset::VideoDecoder& decoder = *opened.value();
  const int64_t frames = decoder.index().frames();
  for (const int64_t frame : {int64_t{0}, int64_t{1}, frames - 1, frames / 2}) {
    const auto image = decoder.frame(frame);
    if (image.ok()) {
      SINEW_CHECK(image.value().pixels.size() ==
                  static_cast<size_t>(image.value().height * image.value().width * 3));
    } else {
      SINEW_CHECK(!image.status().message().empty());
    }
  }
  return 0;
}
