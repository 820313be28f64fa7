// Observation files from hostile bytes. The first byte says which: 'j' JSON, 'n' .npz, 's'
// .safetensors. Images that a JSON names are found beside it when they are front.png, grey.jpg or
// damaged.png. Whatever is read has the extents that it claims, and finite states.
#include "base/check.h"
#include "cli/observation_file.h"
#include "memory_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

using sinew::dataset::Step;

std::string image_seed(const std::string& name) {
  std::ifstream file(std::string(SINEW_SOURCE_DIR) + "/tests/fuzz/corpus/image/" + name,
                     std::ios::binary);
  SINEW_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Folder : sinew::test::MemoryFolder {
  Folder() {
    set("front.png", image_seed("rgb.png"));
    set("grey.jpg", image_seed("grey.jpg"));
    set("damaged.png", image_seed("rgb.png").substr(0, 40));
  }
};

void check(const Step& step) {
  for (const Step::Frames& camera : step.video) {
    SINEW_CHECK(!camera.frames.empty());
    for (const sinew::preprocess::Image& image : camera.frames) {
      SINEW_CHECK(image.height > 0 && image.width > 0);
      SINEW_CHECK(image.pixels.size() == static_cast<size_t>(image.height * image.width * 3));
    }
  }
  for (const Step::Values& group : step.state) {
    SINEW_CHECK(group.steps > 0 && group.dims > 0);
    SINEW_CHECK(group.values.size() == static_cast<size_t>(group.steps * group.dims));
    SINEW_CHECK(std::all_of(group.values.begin(), group.values.end(),
                            [](float x) { return std::isfinite(x); }));
  }
  SINEW_CHECK(step.action.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Folder folder;
  if (size == 0) {
    return 0;
  }
  const std::string name = data[0] == 'n'   ? "observation.npz"
                           : data[0] == 's' ? "observation.safetensors"
                                            : "observation.json";
  folder.set(name, {reinterpret_cast<const char*>(data) + 1, size - 1});
  const auto file = sinew::cli::read_observation_file(folder.path() / name);
  if (!file.ok()) {
    SINEW_CHECK(!file.status().message().empty());
    SINEW_CHECK(file.status().code() != sinew::Code::kUsage);
    return 0;
  }
  SINEW_CHECK(!file.value().steps.empty());
  std::for_each(file.value().steps.begin(), file.value().steps.end(), check);
  return 0;
}
