#include "base/error.h"
#include "io/file.h"
#include "io/npy.h"
#include "io/npy_header.h"
#include "io/utf8.h"
#include "io/zip.h"

#include <cstdint>
#include <utility>

namespace sinew::io {
namespace {

constexpr std::string_view kEnding = ".npy";
constexpr size_t kMaxFullMembers = 4;  // all members together, in units of the limit of one

// The text of a NumPy string: code points (<U) or bytes (|S), padded with zeros.
Result<std::string> parse_text(const NpyHeader& header, const std::string& where) {
  if (header.shape.elements() != 1) {
    return bad_input("{}: expected one string, found an array of shape {}", where,
                     header.shape.text());
  }
  std::string text;
  bool valid = true;
  if (header.kind == 'S') {
    text.assign(reinterpret_cast<const char*>(header.data.data()), header.data.size());
    valid = is_utf8(text);
  } else {
    for (size_t i = 0; i + 4 <= header.data.size(); i += 4) {
      uint32_t code = 0;
      for (size_t k = 0; k < 4; ++k) {
        const size_t shift = 8 * (header.big_endian ? 3 - k : k);
        code |= std::to_integer<uint32_t>(header.data[i + k]) << shift;
      }
      valid = append_utf8(code, text) && valid;
    }
  }
  if (!valid) {
    return bad_input("{}: expected Unicode text, found other bytes", where);
  }
  text.resize(text.find_last_not_of('\0') + 1);  // npos + 1 is 0
  return text;
}

}  // namespace

const NpyArray* Npz::find(std::string_view name) const {
  for (const NpzMember& member : arrays) {
    if (member.name == name) {
      return &member.array;
    }
  }
  return nullptr;
}

Result<Npz> parse_npz(std::span<const std::byte> file, const std::string& where,
                      size_t max_member_bytes) {
  SINEW_ASSIGN(const std::vector<ZipMember> members, list_zip(file, where));
  Npz npz;
  size_t total_bytes = 0;
  for (const ZipMember& member : members) {
    total_bytes += member.size_bytes;
    if (total_bytes / kMaxFullMembers > max_member_bytes) {
      return bad_input("{}: expected members of at most {} bytes together, found more", where,
                       kMaxFullMembers * max_member_bytes);
    }
    if (!member.name.ends_with(kEnding) || member.name.size() == kEnding.size()) {
      return bad_input("{}: expected members named <name>.npy, found {}", where, member.name);
    }
    const std::string place = where + ": member " + member.name;
    SINEW_ASSIGN(const Buffer bytes, extract(member, where, max_member_bytes));
    const std::span<const std::byte> npy(bytes.data(), bytes.size_bytes());
    SINEW_ASSIGN(const NpyHeader header, parse_npy_header(npy, place));
    std::string name = member.name.substr(0, member.name.size() - kEnding.size());
    if (header.kind == 'U' || header.kind == 'S') {
      SINEW_ASSIGN(std::string text, parse_text(header, place));
      npz.strings.emplace_back(std::move(name), std::move(text));
    } else {
      SINEW_ASSIGN(NpyArray array, parse_npy(npy, place));
      npz.arrays.push_back({std::move(name), std::move(array)});
    }
  }
  return npz;
}

Result<Npz> read_npz(const std::filesystem::path& path) {
  SINEW_ASSIGN(const MappedFile file, MappedFile::open(path));
  return parse_npz(file.bytes(), path.string());
}

Status write_npz(const std::filesystem::path& path, std::span<const NpzWriteMember> members) {
  std::vector<ZipSource> sources;
  sources.reserve(members.size());
  for (const NpzWriteMember& member : members) {
    if (member.name.empty()) {
      return bad_input("{}: cannot hold an array without a name", path.string());
    }
    sources.push_back({member.name + std::string(kEnding), format_npy(member.view)});
  }
  return write_zip(path, sources);
}

}  // namespace sinew::io
