// Binary search in sorted ranges of code points.
#include "preprocess/text/unicode13.h"

#include <algorithm>
#include <span>

namespace sinew::preprocess {

namespace {

struct Range {
  char32_t first;
  char32_t last;
};

#include "preprocess/text/unicode13.inc"

constexpr Range kSpace[] = {
    {0x09, 0x0d},     {0x1c, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
    {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
};

bool holds(std::span<const Range> ranges, char32_t code_point) {
  const auto above =
      std::upper_bound(ranges.begin(), ranges.end(), code_point,
                       [](char32_t value, const Range& range) { return value < range.first; });
  return above != ranges.begin() && code_point <= std::prev(above)->last;
}

}  // namespace

bool is_alphanumeric(char32_t code_point) {
  return holds(kAlphanumeric, code_point);
}

bool is_space(char32_t code_point) {
  return holds(kSpace, code_point);
}

bool is_cased(char32_t code_point) {
  return holds(kCased, code_point);
}

bool is_case_ignorable(char32_t code_point) {
  return holds(kCaseIgnorable, code_point);
}

}  // namespace sinew::preprocess
