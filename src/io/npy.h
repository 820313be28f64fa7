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
#include <vector>

namespace sinew::io {

// An array that owns its bytes: C order, native byte order.
struct NpyArray {
  Buffer data;
  DType dtype = DType::kF32;
  Shape shape;

  ConstTensorView view() const { return {data.data(), dtype, shape}; }
};

// Accepts u1 i1 b1 u2? i2 i4 i8 f2 f4 f8 of either byte order and either storage order (converted
// to C order); refuses objects, structures, rank > 5, sizes that do not match the bytes. `where`
// names the source in errors.
Result<NpyArray> parse_npy(std::span<const std::byte> file, const std::string& where);
Result<NpyArray> read_npy(const std::filesystem::path& path);

// The bytes of a version 1.0 file as NumPy writes it.
std::string format_npy(const ConstTensorView& array);

struct NpzMember {
  std::string name;  // without the ".npy" ending
  NpyArray array;
};

// All members in archive order. Refuses encryption, multi-disk archives, members that inflate
// beyond `max_member_bytes`, bad checksums, and names that are not "<name>.npy". A member
// "language" or "metadata" of dtype <U (NumPy string) is returned by parse_npz_strings instead.
struct Npz {
  std::vector<NpzMember> arrays;
  std::vector<std::pair<std::string, std::string>> strings;  // 0-d <U / |S arrays, as UTF-8

  const NpyArray* find(std::string_view name) const;
};

Result<Npz> parse_npz(std::span<const std::byte> file, const std::string& where,
                      size_t max_member_bytes = size_t{1} << 30);
Result<Npz> read_npz(const std::filesystem::path& path);

// Stored (uncompressed) zip of .npy members; atomic. Names come without the ".npy" ending.
struct NpzWriteMember {
  std::string name;
  ConstTensorView view;
};

Status write_npz(const std::filesystem::path& path, std::span<const NpzWriteMember> members);

}  // namespace sinew::io
