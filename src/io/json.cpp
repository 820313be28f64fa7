#include "io/json.h"

#include "base/error.h"
#include "io/file.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <span>
#include <utility>

namespace sinew::io {
namespace {

// The n-th number of a text (counted from 0) that Python wrote as NaN or Infinity.
struct NonFinite {
  size_t ordinal;
  double value;
};

bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

// Where the string that opens at `begin` ends: the place behind its closing quote.
size_t skip_string(std::string_view text, size_t begin) {
  size_t i = begin + 1;
  while (i < text.size() && text[i] != '"') {
    i += text[i] == '\\' ? 2 : 1;
  }
  return std::min(i + 1, text.size());
}

// The JSON library knows no NaN and Infinity. This puts a 0 of the same width in their place (so
// that positions in error messages stay true) and notes which number of the text each one is. In a
// text with other syntax errors the count may be wrong; those texts are refused anyway.
std::vector<NonFinite> replace_non_finite(std::string& text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr std::pair<std::string_view, double> kLiterals[] = {
      {"NaN", std::numeric_limits<double>::quiet_NaN()},
      {"Infinity", kInfinity},
      {"-Infinity", -kInfinity},
  };
  std::vector<NonFinite> found;
  size_t numbers = 0;
  size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '"') {
      i = skip_string(text, i);
      continue;
    }
    const std::string_view rest = std::string_view(text).substr(i);
    bool replaced = false;
    for (const auto& [literal, value] : kLiterals) {
      if (rest.starts_with(literal)) {
        found.push_back({numbers++, value});
        text.replace(i, literal.size(), "0" + std::string(literal.size() - 1, ' '));
        i += literal.size();
        replaced = true;
        break;
      }
    }
    if (replaced) {
      continue;
    }
    if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
      ++numbers;
      while (i < text.size() && is_number_char(text[i])) {
        ++i;
      }
      // "1NaN" and "-NaN" are no literals: step over the letter, which the library then refuses.
    }
    ++i;
  }
  return found;
}

// The library's message without its "[json.exception.parse_error.101] ". It quotes the text, which
// may be long and may be no UTF-8.
std::string printable(std::string_view message) {
  constexpr size_t kMaxShown = 300;
  if (const size_t bracket = message.find("] "); bracket != std::string_view::npos) {
    message.remove_prefix(bracket + 2);
  }
  std::string text(message.substr(0, kMaxShown));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

// Builds the value from the library's parse events, which come without recursion, so that depth and
// duplicate keys are refused before anything deep exists.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::span<const NonFinite> non_finite) : non_finite_(non_finite) {}

  Json take() { return std::move(root_); }

  const std::string& failure() const { return failure_; }

  bool null() override { return add(nullptr); }

  bool boolean(bool value) override { return add(value); }

  bool number_integer(int64_t value) override { return add_number(value); }

  bool number_unsigned(uint64_t value) override { return add_number(value); }

  bool number_float(double value, const std::string& /*token*/) override {
    return add_number(value);
  }

  bool string(std::string& value) override { return add(std::move(value)); }

  bool binary(Json::binary_t& /*value*/) override { return false; }  // not in JSON text

  bool start_object(size_t /*elements*/) override { return push(Json::object()); }

  bool start_array(size_t /*elements*/) override { return push(Json::array()); }

  bool end_object() override { return pop(); }

  bool end_array() override { return pop(); }

  bool key(std::string& value) override {
    Json::object_t& object = open_.back()->get_ref<Json::object_t&>();
    const auto [place, inserted] = object.emplace(std::move(value), nullptr);
    if (!inserted) {
      failure_ = fmt::format("the key {} occurs twice in one object",
                             Json(place->first).dump(-1, ' ', /*ensure_ascii=*/true));
      return false;
    }
    member_ = &place->second;
    return true;
  }

  bool parse_error(size_t /*position*/, const std::string& /*last_token*/,
                   const Json::exception& error) override {
    failure_ = printable(error.what());
    return false;
  }

 private:
  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }

  bool add_number(Json value) {
    if (!non_finite_.empty() && non_finite_.front().ordinal == numbers_) {
      value = non_finite_.front().value;
      non_finite_ = non_finite_.subspan(1);
    }
    ++numbers_;
    return add(std::move(value));
  }

  bool push(Json value) {
    if (open_.size() == kMaxJsonDepth) {
      failure_ = fmt::format("nested deeper than {} levels", kMaxJsonDepth);
      return false;
    }
    // Pointers into arrays stay valid: an array grows only while its last element is closed.
    open_.push_back(place(std::move(value)));
    return true;
  }

  bool pop() {
    open_.pop_back();
    return true;
  }

  std::span<const NonFinite> non_finite_;
  size_t numbers_ = 0;
  Json root_;
  std::vector<Json*> open_;
  Json* member_ = nullptr;
  std::string failure_;
};

// A value in an error message: scalars as they are, shortened; containers by their size.
std::string describe(const Json& value) {
  if (value.is_object()) {
    return "an object";
  }
  if (value.is_array()) {
    return fmt::format("an array of {}", value.size());
  }
  if (value.is_number_float()) {
    return fmt::format("{}", value.get<double>());  // dump() writes NaN as null
  }
  constexpr size_t kMaxShown = 60;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  if (text.size() > kMaxShown) {
    text = text.substr(0, kMaxShown) + "...";
  }
  return text;
}

Status expected(const JsonView& at, const std::string& what) {
  return at.error_here(fmt::format("expected {}, found {}", what, describe(at.json())));
}

std::string integer_text(int64_t low, int64_t high) {
  if (low == INT64_MIN && high == INT64_MAX) {
    return "an integer";
  }
  if (high == INT64_MAX) {
    return fmt::format("an integer of at least {}", low);
  }
  return fmt::format("an integer from {} to {}", low, high);
}

// The elements of an array through one of the as_ getters.
template <class T, class Get>
Result<std::vector<T>> elements(const JsonView& array, Get get) {
  SINEW_ASSIGN(const size_t n, array.array_size());
  std::vector<T> values;
  values.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    SINEW_ASSIGN(const JsonView element, array.at(i));
    SINEW_ASSIGN(T value, get(element));
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& where) {
  if (text.find('\0') != std::string_view::npos) {  // the library takes it for the end
    return bad_input("{}: expected JSON text, found a NUL byte", where);
  }
  try {
    std::string copy;
    std::vector<NonFinite> non_finite;
    if (text.find("NaN") != std::string_view::npos ||
        text.find("Infinity") != std::string_view::npos) {
      copy = text;
      non_finite = replace_non_finite(copy);
      text = copy;
    }
    Builder builder(non_finite);
    if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
      return bad_input("{}: expected JSON text, found: {}; mend or replace it", where,
                       builder.failure());
    }
    return builder.take();
  } catch (const std::exception& error) {
    return bad_input("{}: cannot be parsed as JSON: {}", where, error.what());
  }
}

Result<Json> read_json_file(const std::filesystem::path& path) {
  SINEW_ASSIGN(const std::string text, read_file(path));
  return parse_json(text, path.string());
}

bool JsonView::has(std::string_view key) const {
  if (!value_->is_object()) {
    return false;
  }
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

Result<JsonView> JsonView::at(std::string_view key) const {
  SINEW_TRY(expect_object());
  const auto found = value_->find(key);
  if (found == value_->end()) {
    return not_found("{}: the key \"{}\" is missing", where_, key);
  }
  return JsonView(*found, fmt::format("{}{}{}", where_, is_root_ ? ": " : ".", key),
                  /*is_root=*/false);
}

Result<JsonView> JsonView::at(size_t index) const {
  SINEW_ASSIGN(const size_t n, array_size());
  if (index >= n) {
    return not_found("{}: expected at least {} elements, found {}", where_, index + 1, n);
  }
  return JsonView((*value_)[index], fmt::format("{}{}[{}]", where_, is_root_ ? ": " : "", index),
                  /*is_root=*/false);
}

Status JsonView::expect_object() const {
  return value_->is_object() ? Status() : expected(*this, "an object");
}

Result<size_t> JsonView::array_size() const {
  if (!value_->is_array()) {
    return expected(*this, "an array");
  }
  return value_->size();
}

Result<int64_t> JsonView::as_int(int64_t low, int64_t high) const {
  int64_t value = 0;
  bool integer = value_->is_number_integer();
  if (value_->is_number_unsigned()) {
    const auto wide = value_->get<uint64_t>();
    integer = wide <= static_cast<uint64_t>(INT64_MAX);
    value = integer ? static_cast<int64_t>(wide) : 0;
  } else if (integer) {
    value = value_->get<int64_t>();
  } else if (value_->is_number_float()) {
    const auto real = value_->get<double>();
    integer = real >= -0x1p63 && real < 0x1p63 && std::trunc(real) == real;  // false for NaN
    value = integer ? static_cast<int64_t>(real) : 0;
  }
  if (!integer || value < low || value > high) {
    return expected(*this, integer_text(low, high));
  }
  return value;
}

Result<double> JsonView::as_number() const {
  if (!value_->is_number()) {
    return expected(*this, "a number");
  }
  return value_->get<double>();
}

Result<bool> JsonView::as_bool() const {
  if (!value_->is_boolean()) {
    return expected(*this, "true or false");
  }
  return value_->get<bool>();
}

Result<std::string> JsonView::as_string() const {
  if (!value_->is_string()) {
    return expected(*this, "a string");
  }
  return value_->get_ref<const std::string&>();
}

Result<std::vector<std::string>> JsonView::as_strings() const {
  return elements<std::string>(*this, [](const JsonView& element) { return element.as_string(); });
}

Result<std::vector<int64_t>> JsonView::as_ints() const {
  return elements<int64_t>(*this, [](const JsonView& element) { return element.as_int(); });
}

Result<std::vector<double>> JsonView::as_numbers() const {
  return elements<double>(*this, [](const JsonView& element) { return element.as_number(); });
}

std::vector<std::string> JsonView::keys() const {
  std::vector<std::string> names;
  if (value_->is_object()) {
    names.reserve(value_->size());
    for (const auto& [name, member] : value_->get_ref<const Json::object_t&>()) {
      names.push_back(name);
    }
  }
  return names;
}

Status JsonView::error_here(const std::string& text) const {
  return bad_input("{}: {}", where_, text);
}

}  // namespace sinew::io
