// Camera frames from hostile bytes: whatever decodes has exactly the pixels that its size claims.
#include "base/check.h"
#include "preprocess/image/image.h"

#include <cstddef>
#include <cstdint>
#include <span>

// NOLINTNEXTLINE(readability-identifier-naming): the name that libFuzzer looks for
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto image = sinew::preprocess::decode_image(std::as_bytes(std::span(data, size)), "fuzz");
  if (image.ok()) {
    const auto& frame = image.value();
    SINEW_CHECK(frame.pixels.size() == static_cast<size_t>(frame.height * frame.width * 3));
  } else {
    SINEW_CHECK(!image.status().message().empty());
  }
  return 0;
}
