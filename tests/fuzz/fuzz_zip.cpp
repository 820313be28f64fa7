// A zip archive from anywhere: members lie inside the file and apart, and whatever is extracted has
// the size that the directory claims.
#include "base/check.h"
#include "io/zip.h"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxBytes = 1 << 16;
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
  const auto members = sinew::io::list_zip(file, "fuzz");
  if (!members.ok()) {
    SINEW_CHECK(!members.status().message().empty());
    return 0;
  }
  size_t total_bytes = 0;
  for (const sinew::io::ZipMember& member : members.value()) {
    SINEW_CHECK(!member.name.empty());
    total_bytes += member.compressed.size();
    const auto bytes = sinew::io::extract(member, "fuzz", kMaxBytes);
    SINEW_CHECK(!bytes.ok() || bytes.value().size_bytes() == member.size_bytes);
    SINEW_CHECK(bytes.ok() || !bytes.status().message().empty());
  }
  SINEW_CHECK(total_bytes <= size);
  return 0;
}
