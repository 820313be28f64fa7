// Decompose, order, compose. Ordering is done here because the library sorts by swapping
// neighbours, which a long run of combining marks turns into quadratic time.
#include "preprocess/text/nfc.h"

#include "base/error.h"
#include "preprocess/text/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

namespace sinew::preprocess {

namespace {

constexpr auto kDecompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

// A canonical decomposition has at most four code points; some room beyond.
constexpr size_t kMaxDecomposed = 16;

struct Range {
  char32_t first;
  char32_t last;
};

// The original's normaliser knows Unicode 9. What came later and would be reordered, decomposed or
// composed by a newer library (age above 9.0 and a combining class, a canonical decomposition or a
// part in one; data of Unicode 18) stays as it is.
constexpr Range kNewerThanNormaliser[] = {
    {0x5c8, 0x5c9},     {0x7fd, 0x7fd},     {0x897, 0x89f},     {0x8ca, 0x8d3},
    {0x9fe, 0x9fe},     {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},
    {0x1715, 0x1715},   {0x1abf, 0x1af0},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},
    {0x105c9, 0x105c9}, {0x105d2, 0x105d2}, {0x105da, 0x105da}, {0x105e4, 0x105e4},
    {0x10d24, 0x10d27}, {0x10d69, 0x10d6d}, {0x10eab, 0x10eac}, {0x10ecb, 0x10ecf},
    {0x10ef0, 0x10efb}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85},
    {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x11382, 0x11385}, {0x1138b, 0x1138b},
    {0x1138e, 0x1138e}, {0x11390, 0x11391}, {0x113b8, 0x113b8}, {0x113bb, 0x113bb},
    {0x113c2, 0x113c2}, {0x113c5, 0x113c5}, {0x113c7, 0x113c9}, {0x113ce, 0x113d0},
    {0x1145e, 0x1145e}, {0x11839, 0x1183a}, {0x11930, 0x11930}, {0x11935, 0x11935},
    {0x11938, 0x11938}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0},
    {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42},
    {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x1611e, 0x16129},
    {0x1612f, 0x1612f}, {0x16d63, 0x16d63}, {0x16d67, 0x16d6a}, {0x16ff0, 0x16ff1},
    {0x1d127, 0x1d128}, {0x1d250, 0x1d252}, {0x1d25b, 0x1d25c}, {0x1d25f, 0x1d25f},
    {0x1d280, 0x1d281}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae},
    {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}, {0x1e5ee, 0x1e5ef}, {0x1e6e3, 0x1e6e3},
    {0x1e6e6, 0x1e6e6}, {0x1e6ee, 0x1e6ef}, {0x1e6f5, 0x1e6f5}};

// Not U+11A8, the first trailing consonant of Hangul, but the offset of their table: it composes
// with nothing, which some versions of the library get wrong.
constexpr char32_t kHangulTrailBase = 0x11A7;

// True for characters that normalisation must neither change nor move anything across.
bool is_inert(char32_t code_point) {
  const auto above =
      std::upper_bound(std::begin(kNewerThanNormaliser), std::end(kNewerThanNormaliser), code_point,
                       [](char32_t value, const Range& range) { return value < range.first; });
  const bool is_newer =
      above != std::begin(kNewerThanNormaliser) && code_point <= std::prev(above)->last;
  return is_newer || code_point == kHangulTrailBase;
}

Status append_decomposed(char32_t code_point, std::vector<utf8proc_int32_t>& out) {
  std::array<utf8proc_int32_t, kMaxDecomposed> parts{};
  int boundary = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), parts.data(),
                              static_cast<utf8proc_ssize_t>(parts.size()), kDecompose, &boundary);
  if (count < 0 || static_cast<size_t>(count) > parts.size()) {
    return internal_error("decomposing U+{:04X} failed: {}", static_cast<uint32_t>(code_point),
                          count < 0 ? utf8proc_errmsg(count) : "too long");
  }
  out.insert(out.end(), parts.begin(), parts.begin() + count);
  return {};
}

auto combining_class(utf8proc_int32_t code_point) {
  return utf8proc_get_property(code_point)->combining_class;
}

// Canonical ordering: within each run of combining marks, by class, marks of one class as they
// came.
void order_marks(std::vector<utf8proc_int32_t>& code_points) {
  const auto is_mark = [](utf8proc_int32_t code_point) { return combining_class(code_point) != 0; };
  auto begin = code_points.begin();
  while (begin != code_points.end()) {
    begin = std::find_if(begin, code_points.end(), is_mark);
    const auto end = std::find_if_not(begin, code_points.end(), is_mark);
    std::stable_sort(begin, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return combining_class(a) < combining_class(b);
    });
    begin = end;
  }
}

// Appends the composed form of `code_points`, which are decomposed, and clears them.
Status flush_composed(std::vector<utf8proc_int32_t>& code_points, std::string& out) {
  order_marks(code_points);
  const utf8proc_ssize_t length = utf8proc_normalize_utf32(
      code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()), kCompose);
  if (length < 0 || static_cast<size_t>(length) > code_points.size()) {
    return internal_error("composing text failed: {}", utf8proc_errmsg(length));
  }
  for (size_t i = 0; i < static_cast<size_t>(length); ++i) {
    append_utf8(static_cast<char32_t>(code_points[i]), out);
  }
  code_points.clear();
  return {};
}

}  // namespace

Result<std::string> to_nfc(std::string_view text) {
  const auto is_ascii = [](char byte) { return static_cast<unsigned char>(byte) < 0x80; };
  if (std::all_of(text.begin(), text.end(), is_ascii)) {
    return std::string(text);
  }
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> code_points;
  size_t offset = 0;
  while (offset < text.size()) {
    const char32_t code_point = next_code_point(text, offset);
    if (is_inert(code_point)) {
      SINEW_TRY(flush_composed(code_points, out));
      append_utf8(code_point, out);
    } else {
      SINEW_TRY(append_decomposed(code_point, code_points));
    }
  }
  SINEW_TRY(flush_composed(code_points, out));
  return out;
}

}  // namespace sinew::preprocess
