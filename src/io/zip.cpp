#include "io/zip.h"

#include "base/error.h"
#include "io/file.h"
#include "io/utf8.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace sinew::io {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCentralBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kMaxComment = 0xffff;
constexpr uint32_t kZip64Mark = 0xffffffff;  // the real number is in a ZIP64 field
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;
constexpr uint16_t kEncryptedFlags = 0x2041;
constexpr uint16_t kUtf8Flag = 0x0800;
constexpr size_t kMaxDeflateRatio = 1032;  // what the deflate format can reach
constexpr uint16_t kVersion = 20;
constexpr uint16_t kFirstDosDate = (1 << 5) | 1;  // 1980-01-01

// Little-endian fields. Precondition: they lie inside.
uint16_t u16(std::span<const std::byte> bytes, size_t at) {
  return static_cast<uint16_t>(std::to_integer<unsigned>(bytes[at]) |
                               std::to_integer<unsigned>(bytes[at + 1]) << 8U);
}

uint32_t u32(std::span<const std::byte> bytes, size_t at) {
  return uint32_t{u16(bytes, at)} | uint32_t{u16(bytes, at + 2)} << 16U;
}

void put_u16(std::string& out, size_t value) {
  out += static_cast<char>(value & 0xffU);
  out += static_cast<char>((value >> 8U) & 0xffU);
}

void put_u32(std::string& out, size_t value) {
  put_u16(out, value & 0xffffU);
  put_u16(out, value >> 16U);
}

std::string_view text_at(std::span<const std::byte> bytes, size_t at, size_t length) {
  return {reinterpret_cast<const char*>(bytes.data()) + at, length};
}

// Where the record at the end of an archive begins: it may be followed by a comment.
std::optional<size_t> find_end_record(std::span<const std::byte> file) {
  if (file.size() < kEndBytes) {
    return std::nullopt;
  }
  const size_t last = file.size() - kEndBytes;
  const size_t first = last - std::min(last, kMaxComment);
  for (size_t at = last + 1; at-- > first;) {
    if (u32(file, at) == kEndSignature && at + kEndBytes + u16(file, at + 20) == file.size()) {
      return at;
    }
  }
  return std::nullopt;
}

struct Directory {
  size_t entries;
  size_t begin;
  size_t end;
};

Result<Directory> find_directory(std::span<const std::byte> file, const std::string& where) {
  const std::optional<size_t> end = find_end_record(file);
  if (!end.has_value()) {
    return bad_input(
        "{}: expected a zip archive (.npz), found no zip directory at the end of its {} "
        "bytes; it may have been cut off",
        where, file.size());
  }
  const size_t entries = u16(file, *end + 10);
  const uint32_t size = u32(file, *end + 12);
  const uint32_t begin = u32(file, *end + 16);
  if (u16(file, *end + 4) != 0 || u16(file, *end + 6) != 0 || u16(file, *end + 8) != entries) {
    return bad_input("{}: zip archives over several disks are not read", where);
  }
  if (begin == kZip64Mark || size == kZip64Mark || entries == 0xffff) {
    return bad_input("{}: ZIP64 archives (4 GiB or more) are not read; split the file", where);
  }
  if (begin > *end || size > *end - begin) {
    return bad_input("{}: expected the zip directory within {} bytes, found {} bytes at {}", where,
                     *end, size, begin);
  }
  return Directory{entries, begin, size_t{begin} + size};
}

// One directory entry, and where its local header lies.
struct Entry {
  ZipMember member;
  size_t compressed_bytes = 0;
  size_t local_begin = 0;
  size_t bytes = 0;  // of the directory entry
};

Result<Entry> parse_entry(std::span<const std::byte> file, size_t at, size_t end,
                          const std::string& where) {
  if (end - at < kCentralBytes || u32(file, at) != kCentralSignature) {
    return bad_input("{}: expected a zip directory entry at {}, found other bytes", where, at);
  }
  const size_t name_bytes = u16(file, at + 28);
  Entry entry;
  entry.bytes = kCentralBytes + name_bytes + u16(file, at + 30) + u16(file, at + 32);
  if (entry.bytes > end - at) {
    return bad_input("{}: the zip directory entry at {} is cut off", where, at);
  }
  entry.member.name = text_at(file, at + kCentralBytes, name_bytes);
  if (entry.member.name.empty() || !is_utf8(entry.member.name)) {
    return bad_input("{}: the zip directory entry at {} has no UTF-8 name", where, at);
  }
  const uint16_t method = u16(file, at + 10);
  if ((u16(file, at + 8) & kEncryptedFlags) != 0) {
    return bad_input("{}: member {} is encrypted; store it without a password", where,
                     entry.member.name);
  }
  if (method != kStored && method != kDeflated) {
    return bad_input("{}: member {}: expected it stored or deflated, found compression {}", where,
                     entry.member.name, method);
  }
  entry.member.deflated = method == kDeflated;
  entry.member.crc32 = u32(file, at + 16);
  entry.compressed_bytes = u32(file, at + 20);
  entry.member.size_bytes = u32(file, at + 24);
  entry.local_begin = u32(file, at + 42);
  if (entry.compressed_bytes == kZip64Mark || entry.member.size_bytes == kZip64Mark ||
      entry.local_begin == kZip64Mark) {
    return bad_input("{}: member {} is in ZIP64 form, which is not read", where, entry.member.name);
  }
  return entry;
}

// Finds the member's bytes behind its local header; returns where they end.
Result<size_t> locate(std::span<const std::byte> file, size_t limit, const std::string& where,
                      Entry& entry) {
  const std::string& name = entry.member.name;
  const size_t begin = entry.local_begin;
  if (begin > limit || limit - begin < kLocalBytes || u32(file, begin) != kLocalSignature) {
    return bad_input("{}: member {}: expected its header at {}, found other bytes", where, name,
                     begin);
  }
  const size_t name_bytes = u16(file, begin + 26);
  const size_t skip = kLocalBytes + name_bytes + u16(file, begin + 28);
  if (skip > limit - begin || entry.compressed_bytes > limit - begin - skip) {
    return bad_input("{}: member {}: expected {} bytes, found the end of the archive", where, name,
                     entry.compressed_bytes);
  }
  if (text_at(file, begin + kLocalBytes, name_bytes) != name) {
    return bad_input("{}: member {}: its header has another name", where, name);
  }
  entry.member.compressed = file.subspan(begin + skip, entry.compressed_bytes);
  return begin + skip + entry.compressed_bytes;
}

// Overlapping members are how small archives inflate to huge ones.
Status check_overlaps(std::vector<std::pair<size_t, size_t>>& ranges, const std::string& where) {
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) {
      return bad_input("{}: two zip members share bytes at {}", where, ranges[i].first);
    }
  }
  return {};
}

// Inflates the whole of `src` into exactly `dst`.
bool inflate_exactly(std::span<const std::byte> src, std::span<std::byte> dst) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return false;
  }
  // zlib's interface lacks const; both lengths fit, as they come from 32-bit fields.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(src.data()));
  stream.avail_in = static_cast<uInt>(src.size());
  stream.next_out = reinterpret_cast<Bytef*>(dst.data());
  stream.avail_out = static_cast<uInt>(dst.size());
  const bool complete =
      inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
  inflateEnd(&stream);
  return complete;
}

uint32_t checksum(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// The fields that local headers and directory entries share, from "version needed" on.
std::string shared_fields(const ZipSource& member) {
  const bool ascii = std::all_of(member.name.begin(), member.name.end(),
                                 [](char c) { return static_cast<uint8_t>(c) < 0x80; });
  std::string out;
  put_u16(out, kVersion);
  put_u16(out, ascii ? 0 : kUtf8Flag);
  put_u16(out, kStored);
  put_u16(out, 0);  // time
  put_u16(out, kFirstDosDate);
  put_u32(out, checksum(std::as_bytes(std::span(member.bytes))));
  put_u32(out, member.bytes.size());
  put_u32(out, member.bytes.size());
  put_u16(out, member.name.size());
  put_u16(out, 0);  // extra field
  return out;
}

std::string end_record(size_t entries, size_t directory_bytes, size_t directory_begin) {
  std::string out;
  put_u32(out, kEndSignature);
  put_u32(out, 0);  // disks
  put_u16(out, entries);
  put_u16(out, entries);
  put_u32(out, directory_bytes);
  put_u32(out, directory_begin);
  put_u16(out, 0);  // comment
  return out;
}

Status check_writable_members(const std::filesystem::path& path,
                              std::span<const ZipSource> members) {
  std::set<std::string_view> names;
  size_t total = kEndBytes;
  for (const ZipSource& member : members) {
    if (member.name.empty() || member.name.size() > 0xffff || !is_utf8(member.name) ||
        !names.insert(member.name).second) {
      return bad_input("{}: cannot hold a member named \"{}\": expected distinct UTF-8 names",
                       path.string(), member.name);
    }
    total += kLocalBytes + kCentralBytes + 2 * member.name.size() + member.bytes.size();
  }
  if (total >= kZip64Mark || members.size() >= 0xffff) {
    return bad_input(
        "{}: cannot hold {} members of {} bytes: zip archives end at 4 GiB; write a "
        ".safetensors file instead",
        path.string(), members.size(), total);
  }
  return {};
}

}  // namespace

Result<std::vector<ZipMember>> list_zip(std::span<const std::byte> file, const std::string& where) {
  SINEW_ASSIGN(const Directory directory, find_directory(file, where));
  std::vector<ZipMember> members;
  std::vector<std::pair<size_t, size_t>> ranges;
  std::set<std::string> names;
  size_t at = directory.begin;
  for (size_t i = 0; i < directory.entries; ++i) {
    SINEW_ASSIGN(Entry entry, parse_entry(file, at, directory.end, where));
    SINEW_ASSIGN(const size_t end, locate(file, directory.begin, where, entry));
    if (!names.insert(entry.member.name).second) {
      return bad_input("{}: member {} occurs twice", where, entry.member.name);
    }
    ranges.emplace_back(entry.local_begin, end);
    at += entry.bytes;
    members.push_back(std::move(entry.member));
  }
  SINEW_TRY(check_overlaps(ranges, where));
  return members;
}

Result<Buffer> extract(const ZipMember& member, const std::string& where, size_t max_bytes) {
  const size_t bound = member.deflated ? (member.compressed.size() + 1) * kMaxDeflateRatio
                                       : member.compressed.size();
  if (member.size_bytes > max_bytes) {
    return bad_input("{}: member {}: expected at most {} bytes, found {}", where, member.name,
                     max_bytes, member.size_bytes);
  }
  if (member.size_bytes > bound || (!member.deflated && member.size_bytes != bound)) {
    return bad_input("{}: member {}: its {} bytes cannot be the {} that it claims to hold", where,
                     member.name, member.compressed.size(), member.size_bytes);
  }
  SINEW_ASSIGN(Buffer buffer, Buffer::allocate(member.size_bytes));
  const std::span<std::byte> bytes(buffer.data(), buffer.size_bytes());
  if (!member.deflated) {
    std::copy(member.compressed.begin(), member.compressed.end(), bytes.begin());
  } else if (!bytes.empty() && !inflate_exactly(member.compressed, bytes)) {
    return bad_input("{}: member {}: its compressed bytes are damaged; write the file again", where,
                     member.name);
  }
  if (checksum(bytes) != member.crc32) {
    return bad_input(
        "{}: member {}: expected the checksum {:08x}, found {:08x}; the file is damaged", where,
        member.name, member.crc32, checksum(bytes));
  }
  return buffer;
}

Status write_zip(const std::filesystem::path& path, std::span<const ZipSource> members) {
  SINEW_TRY(check_writable_members(path, members));
  std::vector<std::string> headers;
  std::string directory;
  size_t offset = 0;
  for (const ZipSource& member : members) {
    const std::string fields = shared_fields(member);
    std::string local;
    put_u32(local, kLocalSignature);
    local += fields + member.name;
    put_u32(directory, kCentralSignature);
    put_u16(directory, kVersion);  // made by
    directory += fields;
    put_u16(directory, 0);  // comment
    put_u16(directory, 0);  // disk
    put_u16(directory, 0);  // internal attributes
    put_u32(directory, 0);  // external attributes
    put_u32(directory, offset);
    directory += member.name;
    offset += local.size() + member.bytes.size();
    headers.push_back(std::move(local));
  }
  directory += end_record(members.size(), directory.size(), offset);

  std::vector<std::span<const std::byte>> pieces;
  for (size_t i = 0; i < members.size(); ++i) {
    pieces.push_back(std::as_bytes(std::span(headers[i])));
    pieces.push_back(std::as_bytes(std::span(members[i].bytes)));
  }
  pieces.push_back(std::as_bytes(std::span(directory)));
  return write_file_atomic(path, std::span<const std::span<const std::byte>>(pieces));
}

}  // namespace sinew::io
