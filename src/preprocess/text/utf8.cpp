// Table 3-7 of the Unicode standard: which bytes may follow which.
#include "preprocess/text/utf8.h"

#include "base/error.h"

namespace sinew::preprocess {

namespace {

// What a lead byte promises: how many bytes follow, and the range of the first of them (which is
// what excludes overlong forms, surrogates and values beyond U+10FFFF).
struct Lead {
  size_t following;
  unsigned char low;
  unsigned char high;
};

constexpr size_t kNoLead = 4;

Lead classify(unsigned char byte) {
  if (byte < 0x80) {
    return {0, 0, 0};
  }
  if (byte >= 0xC2 && byte <= 0xDF) {
    return {1, 0x80, 0xBF};
  }
  if (byte >= 0xE0 && byte <= 0xEF) {
    const unsigned char low = byte == 0xE0 ? 0xA0 : 0x80;
    const unsigned char high = byte == 0xED ? 0x9F : 0xBF;
    return {2, low, high};
  }
  if (byte >= 0xF0 && byte <= 0xF4) {
    const unsigned char low = byte == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = byte == 0xF4 ? 0x8F : 0xBF;
    return {3, low, high};
  }
  return {kNoLead, 0, 0};
}

unsigned char byte_at(std::string_view text, size_t index) {
  return static_cast<unsigned char>(text[index]);
}

bool well_formed_at(std::string_view text, size_t start, const Lead& lead) {
  if (lead.following == kNoLead || text.size() - start <= lead.following) {
    return false;
  }
  for (size_t k = 1; k <= lead.following; ++k) {
    const unsigned char byte = byte_at(text, start + k);
    const unsigned char low = k == 1 ? lead.low : 0x80;
    const unsigned char high = k == 1 ? lead.high : 0xBF;
    if (byte < low || byte > high) {
      return false;
    }
  }
  return true;
}

}  // namespace

size_t valid_utf8_prefix(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    const Lead lead = classify(byte_at(text, offset));
    if (!well_formed_at(text, offset, lead)) {
      break;
    }
    offset += lead.following + 1;
  }
  return offset;
}

Status check_text(std::string_view text, std::string_view what) {
  if (text.size() > kMaxTextBytes) {
    return bad_input("{}: expected at most {} bytes, found {}", what, kMaxTextBytes, text.size());
  }
  const size_t valid = valid_utf8_prefix(text);
  if (valid != text.size()) {
    return bad_input("{}: expected UTF-8, found byte 0x{:02x} at offset {}", what,
                     byte_at(text, valid), valid);
  }
  return {};
}

std::string excerpt(std::string_view text) {
  constexpr size_t kLength = 60;
  const std::string_view start = text.substr(0, kLength);
  const std::string shown(start.substr(0, valid_utf8_prefix(start)));
  return shown.size() == text.size() ? shown : shown + "...";
}

char32_t next_code_point(std::string_view text, size_t& offset) {
  const unsigned char first = byte_at(text, offset++);
  if (first < 0x80) {
    return first;
  }
  const size_t following = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  char32_t code_point = first & (0x3FU >> following);
  for (size_t k = 0; k < following; ++k) {
    code_point = (code_point << 6) | (byte_at(text, offset++) & 0x3FU);
  }
  return code_point;
}

void append_utf8(char32_t code_point, std::string& out) {
  const auto put = [&out](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  const auto put_tail = [&put, code_point](int shift) {
    put(0x80U | ((code_point >> shift) & 0x3FU));
  };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0U | (code_point >> 6));
    put_tail(0);
  } else if (code_point < 0x10000) {
    put(0xE0U | (code_point >> 12));
    put_tail(6);
    put_tail(0);
  } else {
    put(0xF0U | (code_point >> 18));
    put_tail(12);
    put_tail(6);
    put_tail(0);
  }
}

}  // namespace sinew::preprocess
