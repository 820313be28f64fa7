// NumPy's .npy (versions 1.0 to 3.0) and .npz (stored or deflated zip of .npy). Formats: NumPy NEP
// 1 and spec/protocol.md section A3, whose writing rules make our files byte-identical to NumPy's.
#pragma once

#include "tensor/buffer.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinew::io {

// An array that owns its bytes: C order, native byte order.
struct NpyArray {
  Buffer data;
  DType dtype = DType::kF32;
  Shape shape;

  ConstTensorView view() const { return {data.data(), dtype, shape}; }
};

// Accepts b1 u1 i1 i2 i4 i8 f2 f4 f8 of either byte order and either storage order (converted to C
// order). u2 becomes I32 and u4 I64; u8 becomes I64 unless a value does not fit. Refuses objects,
// structures, strings, rank > 5 and sizes that do not match the bytes. `where` names the source in
// errors.
Result<NpyArray> parse_npy(std::span<const std::byte> file, const std::string& where);
Result<NpyArray> read_npy(const std::filesystem::path& path);

// The bytes of a version 1.0 file as NumPy writes it. BF16, which NumPy lacks, is widened to f4.
std::string format_npy(const ConstTensorView& array);

struct NpzMember {
  std::string name;  // without the ".npy" ending
  NpyArray array;
};

// All members in archive order. A member whose dtype is a NumPy string (one element of <U or |S)
// goes to `strings`, every other one to `arrays`.
struct Npz {
  std::vector<NpzMember> arrays;
  std::vector<std::pair<std::string, std::string>> strings;  // name and text, both UTF-8

  // nullptr when absent.
  const NpyArray* find(std::string_view name) const;
};

// Refuses encryption, multi-disk and ZIP64 archives, members that inflate beyond
// `max_member_bytes`, bad checksums, overlapping or repeated members, and names that are not
// "<name>.npy".
Result<Npz> parse_npz(std::span<const std::byte> file, const std::string& where,
                      size_t max_member_bytes = size_t{1} << 30);
Result<Npz> read_npz(const std::filesystem::path& path);

// A member to write; the name comes without the ".npy" ending.
struct NpzWriteMember {
  std::string name;
  ConstTensorView view;
};

// Stored (uncompressed) zip of .npy members; atomic. Fails on a repeated, empty or non-UTF-8 name
// and beyond 4 GiB.
Status write_npz(const std::filesystem::path& path, std::span<const NpzWriteMember> members);

}  // namespace sinew::io
