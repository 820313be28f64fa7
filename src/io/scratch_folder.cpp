#include "io/scratch_folder.h"

#include "base/error.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

namespace sinew::io {

Result<ScratchFolder> ScratchFolder::create(const std::filesystem::path& parent) {
  std::string name = (parent / ".sinew-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return bad_input("{}: a folder cannot be made there: {}", parent.string(),
                     std::generic_category().message(errno));
  }
  return ScratchFolder(name);
}

ScratchFolder::~ScratchFolder() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

Status ScratchFolder::move_to(const std::filesystem::path& destination) {
  // mkdtemp makes it private; what it becomes is an ordinary folder
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::chmod(path_.c_str(), 0777 & ~mask);
  if (std::rename(path_.c_str(), destination.c_str()) != 0) {
    return bad_input("{}: cannot be made: {}", destination.string(),
                     std::generic_category().message(errno));
  }
  path_.clear();
  return {};
}

}  // namespace sinew::io
