// JSON text from anywhere: whatever parses can be walked with every getter, and parses again from
// what it is written as.
#include "base/check.h"
#include "io/json.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using sinew::io::Json;
using sinew::io::JsonView;

void walk(const JsonView& view, size_t depth) {
  SINEW_CHECK(depth <= sinew::io::kMaxJsonDepth);
  for (const std::string& key : view.keys()) {
    walk(view.at(key).value(), depth + 1);
  }
  if (view.json().is_array()) {
    const size_t n = view.array_size().value();
    for (size_t i = 0; i < n; ++i) {
      walk(view.at(i).value(), depth + 1);
    }
  }
  const bool any = view.as_int().ok() || view.as_int(-5, 5).ok() || view.as_number().ok() ||
                   view.as_bool().ok() || view.as_string().ok() || view.as_strings().ok() ||
                   view.as_ints().ok() || view.as_numbers().ok();
  SINEW_CHECK(any || view.json().is_structured() || view.is_null());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = sinew::io::parse_json(text, "fuzz");
  if (!json.ok()) {
    SINEW_CHECK(!json.status().message().empty());
    return 0;
  }
  walk(JsonView(json.value(), "fuzz"), 0);
  SINEW_CHECK(sinew::io::parse_json(json.value().dump(), "again").ok());
  return 0;
}
