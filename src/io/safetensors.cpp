#include "io/safetensors.h"

#include "base/check.h"
#include "base/error.h"
#include "base/float16.h"
#include "io/json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>

namespace sinew::io {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensor bytes are used as they are in the file, which is little-endian");

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kDataAlignment = 64;
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr const char* kDamaged = "the file is damaged or was not copied completely: fetch it again";

// A tensor with the place that the header claims for it.
struct Claim {
  size_t index;  // into SafetensorsHeader::tensors
  int64_t begin;
  int64_t end;
};

Result<Json> parse_header(std::span<const std::byte> file, const std::string& where) {
  if (file.size() < kLengthBytes) {
    return bad_input("{}: expected a safetensors file of at least {} bytes, found {}; {}", where,
                     kLengthBytes, file.size(), kDamaged);
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  const size_t available = std::min(file.size() - kLengthBytes, kMaxHeaderBytes);
  if (length > available) {
    return bad_input(
        "{}: expected a safetensors header of at most {} bytes, found the length {}; {}", where,
        available, length, kDamaged);
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes,
                              static_cast<size_t>(length));
  return parse_json(text, where + ": header");
}

Result<DType> parse_dtype(const JsonView& tensor) {
  SINEW_ASSIGN(const JsonView member, tensor.at("dtype"));
  SINEW_ASSIGN(const std::string name, member.as_string());
  const std::optional<DType> dtype = dtype_from_name(name);
  if (!dtype.has_value()) {
    return member.error_here(fmt::format(
        "expected one of F32, BF16, F16, F64, I64, I32, I16, I8, U8, BOOL, found \"{}\"", name));
  }
  return *dtype;
}

// A shape whose size in bytes fits int64_t.
Result<Shape> parse_shape(const JsonView& tensor, DType dtype) {
  SINEW_ASSIGN(const JsonView member, tensor.at("shape"));
  SINEW_ASSIGN(const size_t rank, member.array_size());
  if (rank > Shape::kMaxRank) {
    return member.error_here(
        fmt::format("expected at most {} extents, found {}", Shape::kMaxRank, rank));
  }
  std::array<int64_t, Shape::kMaxRank> extents{};
  auto bytes = static_cast<int64_t>(dtype_bytes(dtype));
  for (size_t axis = 0; axis < rank; ++axis) {
    SINEW_ASSIGN(const JsonView element, member.at(axis));
    SINEW_ASSIGN(extents[axis], element.as_int(0));
    if (__builtin_mul_overflow(bytes, extents[axis], &bytes)) {
      return member.error_here("the size of the tensor overflows");
    }
  }
  return Shape(std::span<const int64_t>(extents.data(), rank));
}

// Adds the tensor with a view of its bytes, once these are known to lie inside `data`.
Result<Claim> parse_tensor(const JsonView& tensor, const std::string& name,
                           std::span<const std::byte> data, SafetensorsHeader& header) {
  SINEW_ASSIGN(const DType dtype, parse_dtype(tensor));
  SINEW_ASSIGN(const Shape shape, parse_shape(tensor, dtype));
  SINEW_ASSIGN(const JsonView offsets, tensor.at("data_offsets"));
  SINEW_ASSIGN(const std::vector<int64_t> values, offsets.as_ints());
  if (values.size() != 2 || values[0] < 0 || values[1] < values[0]) {
    return offsets.error_here("expected [begin, end] with 0 <= begin <= end");
  }
  if (std::cmp_greater(values[1], data.size())) {
    return offsets.error_here(fmt::format("expected an end within the {} data bytes, found {}; {}",
                                          data.size(), values[1], kDamaged));
  }
  const ConstTensorView view(data.data() + values[0], dtype, shape);
  if (std::cmp_not_equal(values[1] - values[0], view.bytes())) {
    return offsets.error_here(fmt::format("expected {} bytes for {} {}, found {} to {}; {}",
                                          view.bytes(), dtype_name(dtype), shape.text(), values[0],
                                          values[1], kDamaged));
  }
  header.tensors.push_back({name, view});
  return Claim{header.tensors.size() - 1, values[0], values[1]};
}

// The tensors must cover the data exactly: no overlaps, no gaps, nothing behind the last.
Status check_coverage(std::vector<Claim>& claims, const SafetensorsHeader& header,
                      size_t data_bytes, const std::string& where) {
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  int64_t covered = 0;
  for (const Claim& claim : claims) {
    if (claim.begin != covered) {
      return bad_input("{}: header: expected the bytes of {} to begin at {}, found {} ({}); {}",
                       where, header.tensors[claim.index].name, covered, claim.begin,
                       claim.begin < covered ? "they overlap another tensor" : "a gap", kDamaged);
    }
    covered = claim.end;
  }
  if (std::cmp_not_equal(covered, data_bytes)) {
    return bad_input("{}: header: expected tensors to cover all {} data bytes, found {}; {}", where,
                     data_bytes, covered, kDamaged);
  }
  return {};
}

Result<std::map<std::string, std::string>> parse_metadata(const JsonView& member) {
  SINEW_TRY(member.expect_object());
  std::map<std::string, std::string> metadata;
  for (const std::string& key : member.keys()) {
    SINEW_ASSIGN(const JsonView value, member.at(key));
    SINEW_ASSIGN(metadata[key], value.as_string());
  }
  return metadata;
}

std::span<const std::byte> bytes_of(const ConstTensorView& view) {
  return {static_cast<const std::byte*>(view.data), view.bytes()};
}

// The length and the padded JSON in front of the tensors' bytes.
Result<std::string> format_header(std::span<const NamedTensor> tensors,
                                  const std::map<std::string, std::string>& metadata,
                                  const std::string& where) {
  Json header = Json::object();
  if (!metadata.empty()) {
    header[std::string(kMetadataKey)] = metadata;
  }
  size_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    const size_t end = offset + tensor.view.bytes();
    const auto [place, inserted] = header.emplace(
        tensor.name, Json{{"dtype", dtype_name(tensor.view.dtype)},
                          {"shape", std::vector<int64_t>(tensor.view.shape.extents().begin(),
                                                         tensor.view.shape.extents().end())},
                          {"data_offsets", {offset, end}}});
    if (!inserted || tensor.name == kMetadataKey) {
      return bad_input("{}: cannot hold two tensors named {}", where, tensor.name);
    }
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const std::exception&) {
    return bad_input("{}: a tensor name or metadata value is not UTF-8", where);
  }
  const size_t start =
      (kLengthBytes + text.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment;
  text.resize(start - kLengthBytes, ' ');
  const uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + text;
}

template <class T, class Convert>
void convert_each(const void* src, std::span<float> dst, Convert convert) {
  const auto* bytes = static_cast<const std::byte*>(src);
  for (size_t i = 0; i < dst.size(); ++i) {
    T value;
    std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));  // src may be unaligned
    dst[i] = convert(value);
  }
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file,
                                            const std::string& where) {
  SINEW_ASSIGN(const Json json, parse_header(file, where));
  const JsonView root(json, where + ": header");
  SINEW_TRY(root.expect_object());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  const std::span<const std::byte> data = file.subspan(kLengthBytes + length);

  SafetensorsHeader header;
  std::vector<Claim> claims;
  for (const std::string& name : root.keys()) {  // sorted, and so are the tensors
    SINEW_ASSIGN(const JsonView member, root.at(name));
    if (name == kMetadataKey) {
      SINEW_ASSIGN(header.metadata, parse_metadata(member));
      continue;
    }
    SINEW_ASSIGN(const Claim claim, parse_tensor(member, name, data, header));
    claims.push_back(claim);
  }
  SINEW_TRY(check_coverage(claims, header, data.size(), where));
  return header;
}

const TensorEntry* find_tensor(std::span<const TensorEntry> sorted, std::string_view name) {
  const auto found = std::lower_bound(
      sorted.begin(), sorted.end(), name,
      [](const TensorEntry& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != sorted.end() && found->name == name ? &*found : nullptr;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  SafetensorsFile file;
  file.path_ = path;
  SINEW_ASSIGN(file.file_, MappedFile::open(path));
  SINEW_ASSIGN(file.header_, parse_safetensors(file.file_.bytes(), path.string()));
  return file;
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  return find_tensor(header_.tensors, name);
}

Status write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata) {
  return stream_safetensors(path, tensors, metadata, [&](size_t index, const ByteSink& sink) {
    return sink(bytes_of(tensors[index].view));
  });
}

Status stream_safetensors(
    const std::filesystem::path& path, std::span<const NamedTensor> tensors,
    const std::map<std::string, std::string>& metadata,
    const std::function<Status(size_t index, const ByteSink& sink)>& produce) {
  SINEW_ASSIGN(const std::string header, format_header(tensors, metadata, path.string()));
  return stream_file_atomic(path, [&](const ByteSink& file) -> Status {
    SINEW_TRY(file(std::as_bytes(std::span(header))));
    for (size_t i = 0; i < tensors.size(); ++i) {
      size_t left_bytes = tensors[i].view.bytes();
      SINEW_TRY(produce(i, [&](std::span<const std::byte> bytes) {
        if (bytes.size() > left_bytes) {
          return internal_error("{}: tensor {}: more bytes than its shape has", path.string(),
                                tensors[i].name);
        }
        left_bytes -= bytes.size();
        return file(bytes);
      }));
      if (left_bytes != 0) {
        return internal_error("{}: tensor {}: {} bytes are missing", path.string(), tensors[i].name,
                              left_bytes);
      }
    }
    return {};
  });
}

void convert_to_f32(const ConstTensorView& src, std::span<float> dst) {
  SINEW_CHECK(std::cmp_equal(dst.size(), src.shape.elements()));
  const auto cast = [](auto value) { return static_cast<float>(value); };
  const auto widen = [](auto value) { return to_float(value); };
  switch (src.dtype) {
    case DType::kF32:
      return convert_each<float>(src.data, dst, cast);
    case DType::kBf16:
      return convert_each<Bf16>(src.data, dst, widen);
    case DType::kF16:
      return convert_each<F16>(src.data, dst, widen);
    case DType::kF64:
      return convert_each<double>(src.data, dst, cast);
    case DType::kI64:
      return convert_each<int64_t>(src.data, dst, cast);
    case DType::kI32:
      return convert_each<int32_t>(src.data, dst, cast);
    case DType::kI16:
      return convert_each<int16_t>(src.data, dst, cast);
    case DType::kI8:
      return convert_each<int8_t>(src.data, dst, cast);
    case DType::kU8:
      return convert_each<uint8_t>(src.data, dst, cast);
    case DType::kBool:
      return convert_each<uint8_t>(src.data, dst,
                                   [](uint8_t value) { return value != 0 ? 1.0F : 0.0F; });
  }
}

}  // namespace sinew::io
