// A folder that is being made: removed with everything in it unless it is moved to its final name.
#pragma once

#include "sinew/result.h"

#include <filesystem>
#include <utility>

namespace sinew::io {

class ScratchFolder {
 public:
  // A new, empty folder in `parent` under a name that no other process uses. kBadInput with the
  // system's reason.
  static Result<ScratchFolder> create(const std::filesystem::path& parent);

  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}

  ScratchFolder& operator=(ScratchFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }

  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();

  const std::filesystem::path& path() const { return path_; }

  // Gives it its final name, on the same file system; an empty folder of that name is replaced.
  Status move_to(const std::filesystem::path& destination);

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;  // empty: nothing to remove
};

}  // namespace sinew::io
