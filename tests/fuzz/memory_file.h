// The bytes of a fuzz input as a file that has a path and never touches a disk.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace sinew::test {

class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    size_t done = 0;
    while (descriptor_ >= 0 && done < size) {
      const ssize_t written = ::write(descriptor_, data + done, size - done);
      if (written <= 0) {
        break;
      }
      done += static_cast<size_t>(written);
    }
  }

  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  ~MemoryFile() { ::close(descriptor_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace sinew::test
