// An .npz archive from anywhere, with a small limit so that memory stays small.
#include "base/check.h"
#include "io/npy.h"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxMemberBytes = 1 << 20;
  const auto npz =
      sinew::io::parse_npz(std::as_bytes(std::span(data, size)), "fuzz", kMaxMemberBytes);
  if (!npz.ok()) {
    SINEW_CHECK(!npz.status().message().empty());
    return 0;
  }
  for (const sinew::io::NpzMember& member : npz.value().arrays) {
    SINEW_CHECK(npz.value().find(member.name) != nullptr);
    SINEW_CHECK(member.array.view().bytes() == member.array.data.size_bytes());
  }
  return 0;
}
