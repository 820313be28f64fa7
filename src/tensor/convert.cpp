#include "tensor/convert.h"

#include "base/check.h"
#include "base/float16.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sinew {
namespace {

template <class T>
float widen(T x) {
  return static_cast<float>(x);
}

template <>
float widen(Bf16 x) {
  return to_float(x);
}

template <>
float widen(F16 x) {
  return to_float(x);
}

template <class T>
void convert(const void* src, std::span<float> dst) {
  const auto* bytes = static_cast<const std::byte*>(src);
  for (size_t i = 0; i < dst.size(); ++i) {
    T x;
    std::memcpy(&x, bytes + i * sizeof(T), sizeof(T));
    dst[i] = widen(x);
  }
}

void convert_bool(const void* src, std::span<float> dst) {
  const auto* bytes = static_cast<const uint8_t*>(src);
  for (size_t i = 0; i < dst.size(); ++i) {
    dst[i] = bytes[i] != 0 ? 1.0F : 0.0F;
  }
}

}  // namespace

void convert_to_f32(const ConstTensorView& src, std::span<float> dst, ParameterRounding rounding) {
  SINEW_CHECK(static_cast<int64_t>(dst.size()) == src.shape.elements());
  switch (src.dtype) {
    case DType::kF32:
      convert<float>(src.data, dst);
      break;
    case DType::kBf16:
      convert<Bf16>(src.data, dst);
      return;  // already what rounding would give
    case DType::kF16:
      convert<F16>(src.data, dst);
      break;
    case DType::kF64:
      convert<double>(src.data, dst);
      break;
    case DType::kI64:
      convert<int64_t>(src.data, dst);
      break;
    case DType::kI32:
      convert<int32_t>(src.data, dst);
      break;
    case DType::kI16:
      convert<int16_t>(src.data, dst);
      break;
    case DType::kI8:
      convert<int8_t>(src.data, dst);
      break;
    case DType::kU8:
      convert<uint8_t>(src.data, dst);
      break;
    case DType::kBool:
      convert_bool(src.data, dst);
      break;
  }
  if (rounding == ParameterRounding::kBf16) {
    for (float& x : dst) {
      x = to_float(to_bf16(x));
    }
  }
}

}  // namespace sinew
