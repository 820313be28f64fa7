// JSON text to a value, and typed access whose errors name the file, the key path, what was
// expected and what was found. The one place that calls the JSON library's throwing functions.
#pragma once

#include "sinew/result.h"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinew::io {

using Json = nlohmann::json;

inline constexpr size_t kMaxJsonDepth = 64;

// `where` names the source in errors ("DIR/config.json"). Refuses bad syntax, invalid UTF-8,
// nesting beyond kMaxJsonDepth and duplicate keys of one object. NaN and Infinity literals (Python
// writes them into statistics files) become NaN and infinity numbers, to be refused where they
// would be used.
Result<Json> parse_json(std::string_view text, const std::string& where);

// read_file + parse_json; the path is `where`.
Result<Json> read_json_file(const std::filesystem::path& path);

// One parsed object together with the path that leads to it, for typed access. Cheap to copy; the
// Json must outlive it. Every getter fails with kBadInput (wrong type, out of range) or kNotFound
// (key missing):
//   "DIR/config.json: diffusion_model_cfg.num_layers: expected an integer, found \"32\""
class JsonView {
 public:
  JsonView(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const Json& json() const { return *value_; }

  const std::string& where() const { return where_; }

  bool is_null() const { return value_->is_null(); }

  // Present and not null. False for a value that is no object.
  bool has(std::string_view key) const;

  // The member, with the path extended. kNotFound when absent; a null member is returned as such.
  Result<JsonView> at(std::string_view key) const;
  Result<JsonView> at(size_t index) const;

  // Fails unless this is an object / an array; the latter returns its length.
  Status expect_object() const;
  Result<size_t> array_size() const;

  // This value as a type. Integers: a JSON integer (50.0 counts, 50.5 does not) within [low, high].
  Result<int64_t> as_int(int64_t low = INT64_MIN, int64_t high = INT64_MAX) const;
  Result<double> as_number() const;  // may be NaN or infinite: check where it matters
  Result<bool> as_bool() const;
  Result<std::string> as_string() const;
  Result<std::vector<std::string>> as_strings() const;
  Result<std::vector<int64_t>> as_ints() const;
  Result<std::vector<double>> as_numbers() const;

  // The keys of this object, sorted (the library does not keep the order of the file). Empty for a
  // non-object.
  std::vector<std::string> keys() const;

  // An error at this place: "<where>: <text>".
  Status error_here(const std::string& text) const;

 private:
  JsonView(const Json& value, std::string where, bool is_root)
      : value_(&value), where_(std::move(where)), is_root_(is_root) {}

  const Json* value_;
  std::string where_;
  bool is_root_ = true;  // where_ holds no key path yet
};

}  // namespace sinew::io
