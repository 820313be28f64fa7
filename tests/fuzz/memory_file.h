// The bytes of a fuzz input as files that have a path and never touch a disk.
#pragma once

#include "base/check.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace sinew::test {

class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) { SINEW_CHECK(descriptor_ >= 0); }

  MemoryFile(const uint8_t* data, size_t size) : MemoryFile() {
    assign({reinterpret_cast<const char*>(data), size});
  }

  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  ~MemoryFile() { ::close(descriptor_); }

  // The whole content.
  void assign(std::string_view bytes) {
    SINEW_CHECK(::ftruncate(descriptor_, static_cast<off_t>(bytes.size())) == 0);
    write_at(0, bytes);
  }

  // A part of the content; the file grows where it has to.
  void write_at(size_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n =
          ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      SINEW_CHECK(n > 0);
      offset += static_cast<size_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// A folder whose files are links to memory files. Made once a target and filled anew for every
// input; what does not change between inputs is not written again.
class MemoryFolder {
 public:
  MemoryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sinew-fuzz-XXXXXX").string();
    SINEW_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }

  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;

  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  // `name` may lie in a subfolder, which is created.
  void set(const std::string& name, std::string_view bytes) {
    Entry& entry = entries_[name];
    if (entry.is_known && entry.bytes == bytes) {
      return;
    }
    entry.bytes = bytes;
    entry.is_known = true;
    file(name).assign(bytes);
  }

  // The memory behind a name, to be written in parts.
  MemoryFile& file(const std::string& name) {
    Entry& entry = entries_[name];
    if (entry.file == nullptr) {
      entry.file = std::make_unique<MemoryFile>();
      const std::filesystem::path link = path_ / name;
      std::filesystem::create_directories(link.parent_path());
      std::filesystem::create_symlink(entry.file->path(), link);
    }
    return *entry.file;
  }

 private:
  struct Entry {
    std::unique_ptr<MemoryFile> file;
    std::string bytes;  // what set() wrote last
    bool is_known = false;
  };

  std::filesystem::path path_;
  std::map<std::string, Entry> entries_;
};

}  // namespace sinew::test
