// A safetensors file from anywhere: whatever parses must be readable to its last byte.
#include "base/check.h"
#include "io/safetensors.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto header = sinew::io::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz");
  if (!header.ok()) {
    SINEW_CHECK(!header.status().message().empty());
    return 0;
  }
  for (const sinew::io::TensorEntry& tensor : header.value().tensors) {
    SINEW_CHECK(sinew::io::find_tensor(header.value().tensors, tensor.name) == &tensor);
    std::vector<float> values(static_cast<size_t>(tensor.view.shape.elements()));
    sinew::io::convert_to_f32(tensor.view, values);
  }
  return 0;
}
