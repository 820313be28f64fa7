#include "io/npy_header.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace sinew::io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 65536;

// What the header's dict literal says, unchecked.
struct Fields {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
};

// Reads the subset of Python literals that a header consists of. Every method returns false, or
// nothing, on anything else.
class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  bool fields(Fields& fields) {
    if (!accept('{')) {
      return false;
    }
    while (!accept('}')) {
      const std::optional<std::string> key = quoted();
      if (!key.has_value() || !accept(':') || !value(*key, fields)) {
        return false;
      }
      if (!accept(',') && !peek('}')) {
        return false;
      }
    }
    skip_space();
    return text_.empty();
  }

 private:
  void skip_space() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n\f"), text_.size()));
  }

  bool peek(char c) {
    skip_space();
    return text_.starts_with(c);
  }

  bool accept(char c) {
    if (!peek(c)) {
      return false;
    }
    text_.remove_prefix(1);
    return true;
  }

  bool accept_word(std::string_view word) {
    skip_space();
    if (!text_.starts_with(word)) {
      return false;
    }
    text_.remove_prefix(word.size());
    return true;
  }

  // A string without escapes, which no header needs.
  std::optional<std::string> quoted() {
    skip_space();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) {
      return std::nullopt;
    }
    const size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    std::string content(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return content;
  }

  std::optional<int64_t> integer() {
    skip_space();
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), number);
    if (error != std::errc() || number < 0) {
      return std::nullopt;
    }
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    accept('L');  // as Python 2 wrote long integers
    return number;
  }

  // (), (3,), (1, 2) or (1, 2,); "(3)" is no tuple.
  std::optional<std::vector<int64_t>> tuple() {
    if (!accept('(')) {
      return std::nullopt;
    }
    std::vector<int64_t> numbers;
    bool comma = true;
    while (!accept(')')) {
      const std::optional<int64_t> number = comma ? integer() : std::nullopt;
      if (!number.has_value()) {
        return std::nullopt;
      }
      numbers.push_back(*number);
      comma = accept(',');
    }
    if (numbers.size() == 1 && !comma) {
      return std::nullopt;
    }
    return numbers;
  }

  bool value(std::string_view key, Fields& fields) {
    if (key == "descr" && !fields.descr.has_value()) {
      fields.descr = quoted();
      return fields.descr.has_value();
    }
    if (key == "fortran_order" && !fields.fortran_order.has_value()) {
      const bool yes = accept_word("True");
      if (yes || accept_word("False")) {
        fields.fortran_order = yes;
      }
      return fields.fortran_order.has_value();
    }
    if (key == "shape" && !fields.shape.has_value()) {
      fields.shape = tuple();
      return fields.shape.has_value();
    }
    return false;
  }

  std::string_view text_;
};

// The header text shortened to printable ASCII, for messages.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 120));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, ' ');
  return out.substr(0, out.find_last_not_of(' ') + 1);
}

struct Sections {
  std::string_view header;
  std::span<const std::byte> data;
};

Result<Sections> split(std::span<const std::byte> file, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.size() < kMagic.size() + 2 || !text.starts_with(kMagic)) {
    return bad_input("{}: expected a NumPy .npy file, found other bytes ({} in all)", where,
                     file.size());
  }
  const auto byte = [&file](size_t at) { return std::to_integer<uint32_t>(file[at]); };
  const uint32_t major = byte(6);
  const uint32_t minor = byte(7);
  if (major < 1 || major > 3 || minor != 0) {
    return bad_input("{}: expected .npy version 1.0, 2.0 or 3.0, found {}.{}", where, major, minor);
  }
  const size_t start = major == 1 ? 10 : 12;
  if (file.size() < start) {
    return bad_input("{}: expected an .npy header, found the end of the file", where);
  }
  size_t length = byte(8) | byte(9) << 8U;
  if (major > 1) {
    length |= size_t{byte(10)} << 16U | size_t{byte(11)} << 24U;
  }
  if (length > std::min(file.size() - start, kMaxHeaderBytes)) {
    return bad_input("{}: expected an .npy header of at most {} bytes, found the length {}", where,
                     std::min(file.size() - start, kMaxHeaderBytes), length);
  }
  return Sections{text.substr(start, length), file.subspan(start + length)};
}

// Sets the element type from NumPy's "<f4".
Status parse_descr(std::string_view descr, const std::string& where, NpyHeader& header) {
  size_t number = 0;
  const char* const end = descr.data() + descr.size();
  if (descr.size() >= 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos) {
    header.big_endian = descr[0] == '>';
    header.kind = descr[1];
    const auto [rest, error] = std::from_chars(descr.data() + 2, end, number);
    const bool known =
        (header.kind == 'b' && number == 1) ||
        ((header.kind == 'i' || header.kind == 'u') &&
         (number == 1 || number == 2 || number == 4 || number == 8)) ||
        (header.kind == 'f' && (number == 2 || number == 4 || number == 8)) ||
        ((header.kind == 'U' || header.kind == 'S') && number <= kMaxHeaderBytes * 64);
    if (error == std::errc() && rest == end && known) {
      header.item_bytes = header.kind == 'U' ? 4 * number : number;
      return {};
    }
  }
  return bad_input(
      "{}: expected numbers of type b1, u1 to u8, i1 to i8, f2, f4 or f8, found dtype \"{}\"; "
      "store "
      "them as one of these",
      where, shown(descr));
}

Status check_size(const std::vector<int64_t>& extents, const std::string& where,
                  NpyHeader& header) {
  if (extents.size() > Shape::kMaxRank) {
    return bad_input("{}: expected an array of rank at most {}, found rank {}", where,
                     Shape::kMaxRank, extents.size());
  }
  int64_t elements = 1;
  int64_t bytes = 0;
  bool overflow = false;
  for (const int64_t extent : extents) {
    overflow = overflow || __builtin_mul_overflow(elements, extent, &elements);
  }
  overflow = overflow || __builtin_mul_overflow(elements, header.item_bytes, &bytes);
  header.shape = Shape(std::span(extents));
  if (overflow || std::cmp_not_equal(bytes, header.data.size())) {
    return bad_input("{}: expected {} items of {} bytes behind the header, found {} bytes", where,
                     header.shape.text(), header.item_bytes, header.data.size());
  }
  return {};
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::span<const std::byte> file, const std::string& where) {
  SINEW_ASSIGN(const Sections sections, split(file, where));
  Fields fields;
  if (!LiteralReader(sections.header).fields(fields) || !fields.descr.has_value() ||
      !fields.fortran_order.has_value() || !fields.shape.has_value()) {
    return bad_input(
        "{}: expected an .npy header with a plain descr, fortran_order and shape (structures are "
        "not "
        "read), found \"{}\"",
        where, shown(sections.header));
  }
  NpyHeader header;
  header.fortran_order = *fields.fortran_order;
  header.data = sections.data;
  SINEW_TRY(parse_descr(*fields.descr, where, header));
  SINEW_TRY(check_size(*fields.shape, where, header));
  return header;
}

}  // namespace sinew::io
