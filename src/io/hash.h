// Content fingerprints: XXH3 with 128 bits, as hexadecimal text. They find damage and stale files;
// they are no protection against someone who wants a collision.
#pragma once

#include "sinew/result.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace sinew::io {

// 32 lower-case hexadecimal digits in the canonical (big-endian) order, as xxh128sum prints them.
std::string hash_hex(std::span<const std::byte> bytes);

// The hash of a file's bytes. Errors as MappedFile::open.
Result<std::string> hash_file_hex(const std::filesystem::path& path);

}  // namespace sinew::io
