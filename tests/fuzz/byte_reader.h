// Decisions taken from the bytes of a fuzz input, first to last; zeros when they are used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sinew::test {

class ByteReader {
 public:
  ByteReader(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }

  uint8_t byte() {
    if (rest_.empty()) {
      return 0;
    }
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }

  // Little-endian, of `bytes` bytes.
  uint64_t number(size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      value |= uint64_t{byte()} << (8 * i);
    }
    return value;
  }

  // In [0, limit); `limit` must not be 0 nor above 65536.
  size_t below(size_t limit) { return static_cast<size_t>(number(limit <= 256 ? 1 : 2)) % limit; }

  // A length byte and as many bytes.
  std::string_view text() { return take(byte()); }

  std::string_view take(size_t size) {
    const std::string_view text = rest_.substr(0, std::min(size, rest_.size()));
    rest_.remove_prefix(text.size());
    return text;
  }

  // Up to the next `separator`, which is dropped; the rest when there is none.
  std::string_view until(char separator) {
    const std::string_view text = take(std::min(rest_.find(separator), rest_.size()));
    take(1);
    return text;
  }

  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace sinew::test
