// Element types of tensors in memory and in files.
#pragma once

#include "base/float16.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sinew {

enum class DType : uint8_t { kF32, kBf16, kF16, kF64, kI64, kI32, kI16, kI8, kU8, kBool };

constexpr size_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBf16:
    case DType::kF16:
    case DType::kI16:
      return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      return 1;
  }
  return 1;
}

// The name that safetensors headers use: "F32", "BF16", ...
constexpr std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kBf16:
      return "BF16";
    case DType::kF16:
      return "F16";
    case DType::kF64:
      return "F64";
    case DType::kI64:
      return "I64";
    case DType::kI32:
      return "I32";
    case DType::kI16:
      return "I16";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kBool:
      return "BOOL";
  }
  return "?";
}

constexpr std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16, DType::kF64, DType::kI64,
                            DType::kI32, DType::kI16, DType::kI8, DType::kU8, DType::kBool}) {
    if (dtype_name(dtype) == name) {
      return dtype;
    }
  }
  return std::nullopt;
}

// The DType of a C++ element type: dtype_of<float>() == DType::kF32.
template <class T>
constexpr DType dtype_of();

template <>
constexpr DType dtype_of<float>() {
  return DType::kF32;
}

template <>
constexpr DType dtype_of<Bf16>() {
  return DType::kBf16;
}

template <>
constexpr DType dtype_of<F16>() {
  return DType::kF16;
}

template <>
constexpr DType dtype_of<double>() {
  return DType::kF64;
}

template <>
constexpr DType dtype_of<int64_t>() {
  return DType::kI64;
}

template <>
constexpr DType dtype_of<int32_t>() {
  return DType::kI32;
}

template <>
constexpr DType dtype_of<int16_t>() {
  return DType::kI16;
}

template <>
constexpr DType dtype_of<int8_t>() {
  return DType::kI8;
}

template <>
constexpr DType dtype_of<uint8_t>() {
  return DType::kU8;
}

template <>
constexpr DType dtype_of<bool>() {
  return DType::kBool;
}

}  // namespace sinew
