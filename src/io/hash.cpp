#include "io/hash.h"

#include "io/file.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace sinew::io {

std::string hash_hex(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

Result<std::string> hash_file_hex(const std::filesystem::path& path) {
  SINEW_ASSIGN(const MappedFile file, MappedFile::open(path));
  return hash_hex(file.bytes());
}

}  // namespace sinew::io
