// The header of an .npy file, before its bytes become an array (npy.cpp) or a text (npz.cpp).
#pragma once

#include "tensor/shape.h"

#include "sinew/result.h"

#include <cstddef>
#include <span>
#include <string>

namespace sinew::io {

struct NpyHeader {
  char kind = 0;  // b i u f: numbers; U S: strings
  size_t item_bytes = 0;
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape;
  std::span<const std::byte> data;  // exactly shape.elements() * item_bytes
};

// Validates all but the values. Errors as parse_npy.
Result<NpyHeader> parse_npy_header(std::span<const std::byte> file, const std::string& where);

}  // namespace sinew::io
