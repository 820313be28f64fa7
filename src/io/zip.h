// Just enough of the zip format (PKWARE APPNOTE 6.3) for .npz files: stored and deflated members
// in, stored members out. Under npz.cpp in the data path.
#pragma once

#include "tensor/buffer.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace sinew::io {

struct ZipMember {
  std::string name;
  bool deflated = false;
  uint32_t crc32 = 0;
  size_t size_bytes = 0;                  // once inflated
  std::span<const std::byte> compressed;  // into the archive
};

// The members in archive order, their ranges checked: inside the file, not overlapping. Refuses
// encryption, several disks, ZIP64, other compressions, and names that repeat or are not UTF-8.
Result<std::vector<ZipMember>> list_zip(std::span<const std::byte> file, const std::string& where);

// The bytes of a member, checked against its size and checksum. kBadInput beyond `max_bytes`.
Result<Buffer> extract(const ZipMember& member, const std::string& where, size_t max_bytes);

struct ZipSource {
  std::string name;
  std::string bytes;
};

// Writes stored members with the fixed date 1980-01-01, so that equal contents give equal files;
// atomic.
Status write_zip(const std::filesystem::path& path, std::span<const ZipSource> members);

}  // namespace sinew::io
