// model.safetensors.index.json from hostile bytes, beside two shards that are sound: whatever opens
// has every tensor once and sorted.
#include "base/check.h"
#include "io/json.h"
#include "io/weight_files.h"
#include "memory_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace {

using sinew::io::TensorEntry;

// A safetensors file of one-byte tensors with the given names.
std::string shard(std::initializer_list<std::string_view> names) {
  sinew::io::Json header = sinew::io::Json::object();
  size_t offset = 0;
  for (const std::string_view name : names) {
    header[std::string(name)] = {
        {"dtype", "U8"}, {"shape", {1}}, {"data_offsets", {offset, offset + 1}}};
    ++offset;
  }
  const std::string text = header.dump();
  std::string file;
  for (size_t i = 0; i < 8; ++i) {
    file += static_cast<char>(text.size() >> (8 * i) & 0xffU);
  }
  return file + text + std::string(offset, '\x01');
}

struct Folder : sinew::test::MemoryFolder {
  Folder() {
    set("model-00001-of-00002.safetensors", shard({"a", "b", "shared"}));
    set("model-00002-of-00002.safetensors", shard({"c", "d"}));
    set("twice.safetensors", shard({"d", "shared"}));
    set("four_bit.safetensors", shard({"w", "w.absmax"}));
    set("damaged.safetensors", "x");
    set("empty.safetensors", "");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Folder folder;
  folder.set("model.safetensors.index.json", {reinterpret_cast<const char*>(data), size});
  const auto files = sinew::io::open_weight_files(folder.path());
  if (!files.ok()) {
    SINEW_CHECK(!files.status().message().empty());
    return 0;
  }
  const auto& tensors = files.value().tensors;
  SINEW_CHECK(!tensors.empty());
  SINEW_CHECK(std::adjacent_find(tensors.begin(), tensors.end(),
                                 [](const TensorEntry& a, const TensorEntry& b) {
                                   return a.name >= b.name;
                                 }) == tensors.end());
  for (const TensorEntry& tensor : tensors) {
    SINEW_CHECK(*static_cast<const uint8_t*>(tensor.view.data) == 1);
  }
  return 0;
}
