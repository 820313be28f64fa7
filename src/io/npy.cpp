#include "io/npy.h"

#include "base/error.h"
#include "io/file.h"
#include "io/npy_header.h"
#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

namespace sinew::io {
namespace {

// The elements of a file in C order, still in the file's type and byte order.
void copy_in_c_order(const NpyHeader& header, std::byte* dst) {
  const auto elements = static_cast<size_t>(header.shape.elements());
  const size_t item = header.item_bytes;
  const size_t rank = header.shape.rank();
  if (!header.fortran_order || rank < 2 || elements == 0) {
    if (elements != 0) {
      std::memcpy(dst, header.data.data(), header.data.size());
    }
    return;
  }
  std::array<size_t, Shape::kMaxRank> stride{};  // of the source, in elements
  size_t product = 1;
  for (size_t axis = 0; axis < rank; ++axis) {
    stride[axis] = product;
    product *= static_cast<size_t>(header.shape[axis]);
  }
  std::array<int64_t, Shape::kMaxRank> index{};
  size_t source = 0;
  for (size_t i = 0; i < elements; ++i) {
    std::memcpy(dst + i * item, header.data.data() + source * item, item);
    for (size_t axis = rank; axis-- > 0;) {  // the next index, last axis fastest
      source += stride[axis];
      if (++index[axis] < header.shape[axis]) {
        break;
      }
      source -= stride[axis] * static_cast<size_t>(header.shape[axis]);
      index[axis] = 0;
    }
  }
}

void swap_bytes(std::byte* data, size_t elements, size_t item) {
  for (size_t i = 0; i < elements; ++i) {
    std::reverse(data + i * item, data + (i + 1) * item);
  }
}

// The DType that holds a file's numbers.
DType result_type(const NpyHeader& header) {
  switch (header.kind) {
    case 'b':
      return DType::kBool;
    case 'f':
      return header.item_bytes == 2 ? DType::kF16
                                    : (header.item_bytes == 4 ? DType::kF32 : DType::kF64);
    case 'u':
      return header.item_bytes == 1 ? DType::kU8
                                    : (header.item_bytes == 2 ? DType::kI32 : DType::kI64);
    default:
      return header.item_bytes == 1
                 ? DType::kI8
                 : (header.item_bytes == 2 ? DType::kI16
                                           : (header.item_bytes == 4 ? DType::kI32 : DType::kI64));
  }
}

template <class From, class To>
void widen(const std::byte* src, std::byte* dst, size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    From from;
    std::memcpy(&from, src + i * sizeof(From), sizeof(From));
    const To to = from;
    std::memcpy(dst + i * sizeof(To), &to, sizeof(To));
  }
}

// Brings native-order numbers of the file's type into the array's type.
Status convert_numbers(const NpyHeader& header, const std::byte* src, NpyArray& array,
                       const std::string& where) {
  const auto elements = static_cast<size_t>(header.shape.elements());
  std::byte* dst = array.data.data();
  if (header.kind == 'b') {
    std::transform(src, src + elements, dst,
                   [](std::byte value) { return std::byte{value != std::byte{0}}; });
  } else if (header.kind == 'u' && header.item_bytes == 2) {
    widen<uint16_t, int32_t>(src, dst, elements);
  } else if (header.kind == 'u' && header.item_bytes == 4) {
    widen<uint32_t, int64_t>(src, dst, elements);
  } else {
    std::copy(src, src + elements * header.item_bytes, dst);
  }
  if (header.kind == 'u' && header.item_bytes == 8) {
    const std::span<const int64_t> values = array.view().as<int64_t>();
    if (std::any_of(values.begin(), values.end(), [](int64_t value) { return value < 0; })) {
      return bad_input("{}: expected unsigned numbers below 2^63, found a larger one", where);
    }
  }
  return {};
}

const char* descr_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kBf16:  // widened
      return "<f4";
    case DType::kF16:
      return "<f2";
    case DType::kF64:
      return "<f8";
    case DType::kI64:
      return "<i8";
    case DType::kI32:
      return "<i4";
    case DType::kI16:
      return "<i2";
    case DType::kI8:
      return "|i1";
    case DType::kU8:
      return "|u1";
    case DType::kBool:
      return "|b1";
  }
  return "?";
}

std::string tuple_text(const Shape& shape) {
  std::string text = "(";
  for (size_t axis = 0; axis < shape.rank(); ++axis) {
    text += (axis == 0 ? "" : ", ") + std::to_string(shape[axis]);
  }
  return text + (shape.rank() == 1 ? ",)" : ")");
}

std::string format_header(const ConstTensorView& array) {
  constexpr size_t kAlignment = 64;
  constexpr size_t kPrefix = 10;
  constexpr size_t kGrowthDigits = 21;  // NumPy leaves room for the first extent to grow
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                 descr_of(array.dtype), tuple_text(array.shape));
  if (array.shape.rank() > 0) {
    text.append(kGrowthDigits - std::to_string(array.shape[0]).size(), ' ');
  }
  text.append(kAlignment - (kPrefix + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xffU);
  header += static_cast<char>(text.size() >> 8U);
  return header + text;
}

}  // namespace

Result<NpyArray> parse_npy(std::span<const std::byte> file, const std::string& where) {
  SINEW_ASSIGN(const NpyHeader header, parse_npy_header(file, where));
  if (header.kind == 'U' || header.kind == 'S') {
    return bad_input("{}: expected numbers, found strings", where);
  }
  const auto elements = static_cast<size_t>(header.shape.elements());
  NpyArray array;
  array.dtype = result_type(header);
  array.shape = header.shape;
  SINEW_ASSIGN(array.data, Buffer::allocate(elements * dtype_bytes(array.dtype)));
  SINEW_ASSIGN(Buffer raw, Buffer::allocate(header.data.size()));
  copy_in_c_order(header, raw.data());
  if (header.big_endian) {
    swap_bytes(raw.data(), elements, header.item_bytes);
  }
  SINEW_TRY(convert_numbers(header, raw.data(), array, where));
  return array;
}

Result<NpyArray> read_npy(const std::filesystem::path& path) {
  SINEW_ASSIGN(const MappedFile file, MappedFile::open(path));
  return parse_npy(file.bytes(), path.string());
}

std::string format_npy(const ConstTensorView& array) {
  std::string bytes = format_header(array);
  const auto elements = static_cast<size_t>(array.shape.elements());
  if (array.dtype == DType::kBf16) {
    std::vector<float> wide(elements);
    convert_to_f32(array, wide);
    bytes.append(reinterpret_cast<const char*>(wide.data()), elements * sizeof(float));
  } else if (elements != 0) {
    bytes.append(static_cast<const char*>(array.data), array.bytes());
  }
  return bytes;
}

}  // namespace sinew::io
