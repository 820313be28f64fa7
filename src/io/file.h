// Whole files in and out. Writing is atomic: a file appears complete under its name or not at all.
#pragma once

#include "sinew/result.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace sinew::io {

// Whether anything is there; false as well when it cannot be asked.
bool path_exists(const std::filesystem::path& path);

// The bytes of a regular file. kNotFound if it is missing; kBadInput if it is a folder, unreadable,
// larger than `max_bytes`, or a git-LFS pointer (spec/dataset.md section 1: says so and how to
// fetch the real file).
Result<std::string> read_file(const std::filesystem::path& path,
                              size_t max_bytes = size_t{1} << 30);

// Writes `bytes` to a temporary file beside `path`, syncs, and renames it over `path`; on any
// failure nothing is left behind and kBadInput names the path and the system's reason. Creates no
// folders.
Status write_file_atomic(const std::filesystem::path& path, std::span<const std::byte> bytes);
Status write_file_atomic(const std::filesystem::path& path, std::string_view text);

// The same for the concatenation of `pieces`, which spares a caller with gigabytes of tensors one
// more copy of them.
Status write_file_atomic(const std::filesystem::path& path,
                         std::span<const std::span<const std::byte>> pieces);

// The same for bytes that are made while they are written: `produce` hands them to the sink in
// order; its failure is that of the call.
using ByteSink = std::function<Status(std::span<const std::byte>)>;
Status stream_file_atomic(const std::filesystem::path& path,
                          const std::function<Status(const ByteSink&)>& produce);

// Whether a file could be written at `path`, asked before long work: one is made beside it and
// removed. Errors as write_file_atomic's, kNotFound for a missing folder.
Status check_writable(const std::filesystem::path& path);

// A read-only memory mapping of a whole file. Move-only; unmaps on destruction. Nobody may shorten
// the file while it is mapped: the kernel answers reads beyond the new end with SIGBUS.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  // Same errors as read_file; an empty file maps to an empty span.
  static Result<MappedFile> open(const std::filesystem::path& path);

  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }

  // Gives the memory of whole pages within `part` (of any mapping) back to the system; reading it
  // again brings it back from the file.
  static void release(std::span<const std::byte> part);

 private:
  const std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
};

}  // namespace sinew::io
