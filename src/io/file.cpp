#include "io/file.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace sinew::io {
namespace {

constexpr std::string_view kLfsPointerStart = "version https://git-lfs.github.com/spec/v1";
constexpr int kTemporaryNameAttempts = 1000;

std::string reason(int error_number) {
  return std::generic_category().message(error_number);
}

// Owner of a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}

  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }

  int get() const { return fd_; }

  // Closes early, because close can report a failed write. Returns 0 or the error number.
  int close_now() { return ::close(std::exchange(fd_, -1)) == 0 ? 0 : errno; }

 private:
  int fd_;
};

struct OpenedFile {
  Descriptor descriptor;
  size_t size_bytes;
};

Result<OpenedFile> open_regular(const std::filesystem::path& path) {
  // O_NONBLOCK, so that a FIFO is refused below instead of waited for.
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) {
    const int number = errno;
    if (number == ENOENT || number == ENOTDIR) {
      return not_found("{}: no such file", path.string());
    }
    return bad_input("{}: cannot be opened: {}", path.string(), reason(number));
  }

  struct stat info {};

  if (::fstat(descriptor.get(), &info) != 0) {
    return bad_input("{}: cannot be examined: {}", path.string(), reason(errno));
  }
  if (S_ISDIR(info.st_mode)) {
    return bad_input("{}: expected a file, found a folder", path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return bad_input("{}: expected a regular file, found a device, pipe or socket", path.string());
  }
  return OpenedFile{std::move(descriptor), static_cast<size_t>(info.st_size)};
}

Status refuse_lfs_pointer(std::string_view start, const std::filesystem::path& path) {
  if (start.starts_with(kLfsPointerStart)) {
    return bad_input(
        "{}: expected the real file, found a git-LFS pointer to it; run `git lfs pull` in its "
        "repository, or download the file again",
        path.string());
  }
  return {};
}

Status write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return bad_input("{}: cannot be written: {}", path.string(), reason(errno));
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

// A rename would replace a folder, or a device such as /dev/null, by a file.
Status refuse_special_target(const std::filesystem::path& path) {
  struct stat info {};

  if (path.filename().empty()) {
    return bad_input("{}: expected the name of a file to write", path.string());
  }
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return bad_input("{}: cannot be written: it exists and is {}", path.string(),
                     S_ISDIR(info.st_mode) ? "a folder" : "no regular file");
  }
  return {};
}

// A file that vanishes unless it was renamed to its destination.
class TemporaryFile {
 public:
  static Result<TemporaryFile> create(const std::filesystem::path& destination) {
    for (int attempt = 0; attempt < kTemporaryNameAttempts; ++attempt) {
      std::filesystem::path path =
          folder_of(destination) / fmt::format(".sinew-{}-{}.tmp", ::getpid(), attempt);
      const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd >= 0) {
        return TemporaryFile(Descriptor(fd), std::move(path));
      }
      if (errno != EEXIST) {
        return bad_input("{}: cannot be written: {}", destination.string(), reason(errno));
      }
    }
    return bad_input("{}: cannot be written: too many files named .sinew-*.tmp beside it",
                     destination.string());
  }

  TemporaryFile(TemporaryFile&& other) noexcept
      : descriptor_(std::move(other.descriptor_)), path_(std::move(other.path_)) {
    other.path_.clear();
  }

  TemporaryFile& operator=(TemporaryFile&&) = delete;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  ~TemporaryFile() {
    if (!path_.empty()) {
      ::unlink(path_.c_str());
    }
  }

  int descriptor() const { return descriptor_.get(); }

  Status commit(const std::filesystem::path& destination) {
    int number = ::fsync(descriptor_.get()) == 0 ? 0 : errno;
    if (number == EINVAL || number == EROFS) {
      number = 0;  // a file system that cannot sync
    }
    const int close_number = descriptor_.close_now();
    number = number != 0 ? number : close_number;
    if (number == 0 && ::rename(path_.c_str(), destination.c_str()) != 0) {
      number = errno;
    }
    if (number != 0) {
      return bad_input("{}: cannot be written: {}", destination.string(), reason(number));
    }
    path_.clear();
    return {};
  }

 private:
  TemporaryFile(Descriptor descriptor, std::filesystem::path path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Descriptor descriptor_;
  std::filesystem::path path_;
};

}  // namespace

bool path_exists(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes) {
  SINEW_ASSIGN(const OpenedFile file, open_regular(path));
  if (file.size_bytes > max_bytes) {
    return bad_input("{}: expected at most {} bytes, found {}", path.string(), max_bytes,
                     file.size_bytes);
  }
  std::string text(file.size_bytes, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::read(file.descriptor.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return bad_input("{}: cannot be read: {}", path.string(), reason(errno));
    }
    if (n == 0) {
      return bad_input("{}: shrank from {} to {} bytes while it was read", path.string(),
                       text.size(), done);
    }
    done += static_cast<size_t>(n);
  }
  SINEW_TRY(refuse_lfs_pointer(text, path));
  return text;
}

Status stream_file_atomic(const std::filesystem::path& path,
                          const std::function<Status(const ByteSink&)>& produce) {
  SINEW_TRY(refuse_special_target(path));
  SINEW_ASSIGN(TemporaryFile file, TemporaryFile::create(path));
  SINEW_TRY(produce(
      [&](std::span<const std::byte> bytes) { return write_all(file.descriptor(), bytes, path); }));
  return file.commit(path);
}

Status write_file_atomic(const std::filesystem::path& path,
                         std::span<const std::span<const std::byte>> pieces) {
  return stream_file_atomic(path, [&](const ByteSink& sink) -> Status {
    for (const std::span<const std::byte> piece : pieces) {
      SINEW_TRY(sink(piece));
    }
    return {};
  });
}

Status write_file_atomic(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  return write_file_atomic(path, std::span(&bytes, 1));
}

Status write_file_atomic(const std::filesystem::path& path, std::string_view text) {
  return write_file_atomic(path, std::as_bytes(std::span(text)));
}

Status check_writable(const std::filesystem::path& path) {
  SINEW_TRY(refuse_special_target(path));
  const std::filesystem::path folder = folder_of(path);
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    return not_found("{}: cannot be written: the folder {} does not exist", path.string(),
                     folder.string());
  }
  // Tried, since permissions do not tell: they bind no superuser, and /proc takes no files.
  Result<TemporaryFile> probe = TemporaryFile::create(path);
  return probe.ok() ? Status() : std::move(probe).status();
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), size_bytes_);
  }
}

void MappedFile::release(std::span<const std::byte> part) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<uintptr_t>(part.data()) + part.size()) / page * page;
  if (begin < end) {
    // Advice: if it is not taken, the pages stay until the system needs them.
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  SINEW_ASSIGN(const OpenedFile file, open_regular(path));
  MappedFile mapped;
  if (file.size_bytes == 0) {
    return mapped;
  }
  void* data = ::mmap(nullptr, file.size_bytes, PROT_READ, MAP_PRIVATE, file.descriptor.get(), 0);
  if (data == MAP_FAILED) {
    return bad_input("{}: cannot be mapped: {}", path.string(), reason(errno));
  }
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_bytes_ = file.size_bytes;
  const std::string_view start(static_cast<const char*>(data),
                               std::min(file.size_bytes, kLfsPointerStart.size()));
  SINEW_TRY(refuse_lfs_pointer(start, path));
  return mapped;
}

}  // namespace sinew::io
