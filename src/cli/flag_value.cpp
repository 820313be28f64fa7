#include "cli/flag_value.h"

#include "base/ascii.h"
#include "base/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

namespace sinew::cli {
namespace {

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

template <class T>
const char* number_kind() {
  return std::is_floating_point_v<T>
             ? "a number"
             : (std::is_unsigned_v<T> ? "an integer of at least 0" : "an integer");
}

template <class T>
Status read_number(const Flag& flag, const std::string& text, T& out) {
  const std::optional<T> value = parse_number<T>(text);
  bool is_valid = value.has_value();
  if constexpr (std::is_floating_point_v<T>) {
    is_valid = is_valid && std::isfinite(*value);
  }
  if (!is_valid) {
    return usage_error("--{}: expected {}, found \"{}\"", flag.name, number_kind<T>(), text);
  }
  if (flag.minimum && static_cast<double>(*value) < *flag.minimum) {
    return usage_error("--{}: expected at least {}, found {}", flag.name, *flag.minimum, text);
  }
  out = *value;
  return {};
}

Status read_text(const Flag& flag, const std::string& text, std::string& out) {
  if (!flag.choice_list.empty() &&
      std::find(flag.choice_list.begin(), flag.choice_list.end(), text) == flag.choice_list.end()) {
    return usage_error("--{}: expected one of {}, found \"{}\"", flag.name,
                       fmt::join(flag.choice_list, ", "), text);
  }
  if (text.empty()) {
    return usage_error("--{}: the value is empty", flag.name);
  }
  out = text;
  return {};
}

Status read_switch(const Flag& flag, const std::string& text, bool& out) {
  const std::string lower = ascii_lower(text);
  if (lower != "true" && lower != "false") {
    return usage_error("--{}: expected true or false, found \"{}\"", flag.name, text);
  }
  out = lower == "true";
  return {};
}

// "a,b" "c" -> a b c
std::vector<std::string> split_lists(std::span<const std::string> values) {
  std::vector<std::string> out;
  for (const std::string& value : values) {
    size_t start = 0;
    while (true) {
      const size_t comma = value.find(',', start);
      out.push_back(value.substr(start, comma - start));
      if (comma == std::string::npos) {
        break;
      }
      start = comma + 1;
    }
  }
  return out;
}

// Stores values in whatever the target is. The visitor of FlagTarget.
struct Store {
  const Flag& flag;
  std::span<const std::string> values;

  Status operator()(bool* target) const { return read_switch(flag, values.back(), *target); }

  Status operator()(std::string* target) const { return read_text(flag, values.back(), *target); }

  template <class T>
  Status operator()(T* target) const {
    return read_number(flag, values.back(), *target);
  }

  template <class T>
  Status operator()(std::optional<T>* target) const {
    T value{};
    SINEW_TRY(read_number(flag, values.back(), value));
    *target = value;
    return {};
  }

  Status operator()(std::vector<int64_t>* target) const {
    std::vector<int64_t> out;
    for (const std::string& text : split_lists(values)) {
      SINEW_TRY(read_number(flag, text, out.emplace_back()));
    }
    *target = std::move(out);
    return {};
  }

  Status operator()(std::vector<std::string>* target) const {
    std::vector<std::string> out;
    for (const std::string& text : split_lists(values)) {
      SINEW_TRY(read_text(flag, text, out.emplace_back()));
    }
    *target = std::move(out);
    return {};
  }
};

struct ToText {
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }

  std::string operator()(const std::string* value) const { return *value; }

  template <class T>
  std::string operator()(const T* value) const {
    return fmt::format("{}", *value);
  }

  template <class T>
  std::string operator()(const std::optional<T>* value) const {
    return *value ? fmt::format("{}", **value) : "";
  }

  template <class T>
  std::string operator()(const std::vector<T>* value) const {
    return fmt::format("{}", fmt::join(*value, " "));
  }
};

struct ToJson {
  template <class T>
  io::Json operator()(const T* value) const {
    return *value;
  }

  template <class T>
  io::Json operator()(const std::optional<T>* value) const {
    return *value ? io::Json(**value) : io::Json(nullptr);
  }
};

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
size_t edit_distance(std::string_view a, std::string_view b) {
  const size_t width = b.size() + 1;
  std::vector<size_t> table((a.size() + 1) * width);  // [beginnings of a, beginnings of b]
  const auto d = [&](size_t i, size_t j) -> size_t& { return table[i * width + j]; };
  for (size_t i = 0; i <= a.size(); ++i) {
    d(i, 0) = i;
  }
  std::iota(&d(0, 0), &d(0, 0) + width, size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = d(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      d(i, j) = std::min({replaced, d(i - 1, j) + 1, d(i, j - 1) + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d(i, j) = std::min(d(i, j), d(i - 2, j - 2) + 1);
      }
    }
  }
  return table.back();
}

}  // namespace

Status set_flag(Flag& flag, std::span<const std::string> values) {
  if (values.empty()) {
    return usage_error("--{}: a value is missing", flag.name);
  }
  SINEW_TRY(std::visit(Store{flag, values}, flag.target));
  flag.is_given = true;
  return {};
}

std::string flag_text(const Flag& flag) {
  return std::visit(ToText{}, flag.target);
}

io::Json options_json(const FlagList& flags) {
  io::Json object = io::Json::object();
  for (const Flag& flag : flags.flags()) {
    object[flag.name] = std::visit(ToJson{}, flag.target);
  }
  return object;
}

std::string nearest_name(std::string_view word, std::span<const std::string> candidates) {
  constexpr size_t kLongestWord = 64;  // the distance takes time in the product of the lengths
  if (word.size() > kLongestWord) {
    return "";
  }
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    // A beginning of a name is most likely meant, however much is missing.
    const bool is_prefix = word.size() >= 3 && candidate.starts_with(word);
    const auto [shorter, longer] = std::minmax({word.size(), candidate.size()});
    if (!is_prefix && longer - shorter >= best_distance) {
      continue;  // every letter more is an edit
    }
    const size_t distance = is_prefix ? 1 : edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace sinew::cli
