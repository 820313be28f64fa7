// info.json to Info; the template language of its paths.
#include "dataset/info.h"

#include "base/error.h"
#include "io/file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace sinew::dataset {
namespace {

constexpr std::array<std::string_view, 5> kFieldNames{"episode_chunk", "episode_index",
                                                      "chunk_index", "file_index", "video_key"};
constexpr size_t kMaxDigits = 32;
constexpr int64_t kMaxChunk = int64_t{1} << 31;

// The number of digits of a format specification: "" and "d" are 0, "06d" is 6.
std::optional<size_t> digits_of(std::string_view specification) {
  if (specification.empty() || specification == "d") {
    return 0;
  }
  if (specification.size() < 3 || specification.front() != '0' || specification.back() != 'd') {
    return std::nullopt;
  }
  size_t digits = 0;
  for (const char c : specification.substr(1, specification.size() - 2)) {
    if (c < '0' || c > '9' || digits > kMaxDigits) {
      return std::nullopt;
    }
    digits = digits * 10 + static_cast<size_t>(c - '0');
  }
  return digits <= kMaxDigits ? std::optional(digits) : std::nullopt;
}

std::vector<std::string> names_of(const io::Json& names) {
  if (names.is_array()) {
    std::vector<std::string> out;
    for (const io::Json& name : names) {
      if (!name.is_string()) {
        return names.size() == 1 ? names_of(name) : std::vector<std::string>{};
      }
      out.push_back(name.get_ref<const std::string&>());
    }
    return out;
  }
  // v2.0 writes {"motors": [...]}.
  if (names.is_object() && names.size() == 1 && names.begin()->is_array()) {
    return names_of(*names.begin());
  }
  return {};
}

bool is_true(const io::Json& object, const char* key) {
  const auto value = object.find(key);  // end() of a value that is no object
  return value != object.end() && value->is_boolean() && value->get<bool>();
}

Result<Feature> parse_feature(const io::JsonView& json) {
  SINEW_TRY(json.expect_object());
  Feature feature;
  SINEW_ASSIGN(const io::JsonView dtype, json.at("dtype"));
  SINEW_ASSIGN(feature.dtype, dtype.as_string());
  if (json.has("shape")) {
    SINEW_ASSIGN(const io::JsonView shape, json.at("shape"));
    SINEW_ASSIGN(feature.shape, shape.as_ints());
  }
  if (json.has("names")) {
    SINEW_ASSIGN(const io::JsonView names, json.at("names"));
    feature.names = names_of(names.json());
  }
  for (const char* key : {"info", "video_info"}) {  // v2.1 and v2.0
    const auto details = json.json().find(key);
    if (details != json.json().end()) {
      feature.is_depth = feature.is_depth || is_true(*details, "video.is_depth_map") ||
                         is_true(*details, "is_depth_map");
      const auto fps = details->find("video.fps");  // end() of a value that is no object
      if (fps != details->end() && fps->is_number()) {
        feature.fps = fps->get<double>();
      }
    }
  }
  return feature;
}

Status parse_version(const io::JsonView& json, Info& info) {
  SINEW_ASSIGN(const io::JsonView version, json.at("codebase_version"));
  SINEW_ASSIGN(info.version, version.as_string());
  if (info.version == "v2.0" || info.version == "v2.1") {
    info.layout = Info::Layout::kV2;
  } else if (info.version == "v3.0") {
    info.layout = Info::Layout::kV3;
  } else {
    return version.error_here(fmt::format(
        "this is a data set of version \"{}\"; v2.0, v2.1 and v3.0 are read", info.version));
  }
  return {};
}

Status parse_paths(const io::JsonView& json, Info& info) {
  SINEW_ASSIGN(const io::JsonView data, json.at("data_path"));
  SINEW_ASSIGN(const std::string data_text, data.as_string());
  SINEW_ASSIGN(info.data_path, PathTemplate::parse(data_text, data.where()));
  if (json.has("video_path")) {
    SINEW_ASSIGN(const io::JsonView video, json.at("video_path"));
    SINEW_ASSIGN(const std::string video_text, video.as_string());
    SINEW_ASSIGN(info.video_path, PathTemplate::parse(video_text, video.where()));
  }
  if (info.layout == Info::Layout::kV2) {
    SINEW_ASSIGN(const io::JsonView chunks_size, json.at("chunks_size"));
    SINEW_ASSIGN(info.chunks_size, chunks_size.as_int(1, kMaxChunk));
  }
  return {};
}

}  // namespace

Result<PathTemplate> PathTemplate::parse(const std::string& text, const std::string& where) {
  PathTemplate out;
  out.where_ = where;
  std::string literal;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool doubled = i + 1 < text.size() && text[i + 1] == text[i];
    if ((text[i] == '{' || text[i] == '}') && doubled) {
      literal += text[i++];
    } else if (text[i] == '}') {
      return bad_input("{}: \"{}\" has a '}}' without '{{'", where, text);
    } else if (text[i] != '{') {
      literal += text[i];
    } else {
      const size_t close = text.find('}', i);
      if (close == std::string::npos) {
        return bad_input("{}: \"{}\" has a '{{' without '}}'", where, text);
      }
      const std::string field = text.substr(i + 1, close - i - 1);
      const size_t colon = field.find(':');
      const std::string name = field.substr(0, colon);
      if (std::find(kFieldNames.begin(), kFieldNames.end(), name) == kFieldNames.end()) {
        return bad_input("{}: \"{}\" has the unknown field '{}'; known are {}", where, text, name,
                         fmt::join(kFieldNames, ", "));
      }
      const std::string specification = colon == std::string::npos ? "" : field.substr(colon + 1);
      const std::optional<size_t> digits = digits_of(specification);
      if (!digits || (name == "video_key" && !specification.empty())) {
        return bad_input(
            "{}: \"{}\" has the format '{}', which is not read ({{name}} or {{name:0Nd}})", where,
            text, field);
      }
      out.pieces_.push_back({std::exchange(literal, ""), false, 0});
      out.pieces_.push_back({name, true, *digits});
      i = close;
    }
  }
  out.pieces_.push_back({literal, false, 0});
  return out;
}

bool PathTemplate::uses(std::string_view field) const {
  for (const Piece& piece : pieces_) {
    if (piece.is_field && piece.text == field) {
      return true;
    }
  }
  return false;
}

Result<std::filesystem::path> PathTemplate::format(const PathFields& fields) const {
  std::string text;
  for (const Piece& piece : pieces_) {
    if (!piece.is_field) {
      text += piece.text;
    } else if (piece.text == "video_key") {
      text += fields.video_key;
    } else {
      const int64_t value = piece.text == "episode_chunk"   ? fields.episode_chunk
                            : piece.text == "episode_index" ? fields.episode_index
                            : piece.text == "chunk_index"   ? fields.chunk_index
                                                            : fields.file_index;
      text += fmt::format("{:0{}d}", value, piece.digits);
    }
  }
  const std::filesystem::path path(text);
  bool inside = !text.empty() && path.is_relative() && text.find('\0') == std::string::npos;
  for (const std::filesystem::path& part : path) {
    inside = inside && part != "..";
  }
  if (!inside) {
    return bad_input("{}: gives the path \"{}\", which leads out of the data set", where_, text);
  }
  return path;
}

std::vector<std::string> Info::camera_features() const {
  std::vector<std::string> names;
  for (const auto& [name, feature] : features) {
    if (feature.is_camera()) {
      names.push_back(name);
    }
  }
  return names;
}

Result<Info> parse_info(const io::JsonView& json) {
  SINEW_TRY(json.expect_object());
  Info info;
  SINEW_TRY(parse_version(json, info));
  SINEW_TRY(parse_paths(json, info));
  if (json.has("fps")) {
    SINEW_ASSIGN(const io::JsonView fps, json.at("fps"));
    SINEW_ASSIGN(info.fps, fps.as_number());
    info.is_fps_assumed = false;
    if (!std::isfinite(info.fps) || info.fps <= 0) {
      return fps.error_here(fmt::format("expected a positive number, found {}", info.fps));
    }
  }
  if (json.has("robot_type")) {
    SINEW_ASSIGN(const io::JsonView robot_type, json.at("robot_type"));
    SINEW_ASSIGN(info.robot_type, robot_type.as_string());
  }
  SINEW_ASSIGN(const io::JsonView features, json.at("features"));
  SINEW_TRY(features.expect_object());
  for (const std::string& name : features.keys()) {
    SINEW_ASSIGN(const io::JsonView feature, features.at(name));
    SINEW_ASSIGN(info.features[name], parse_feature(feature));
  }
  return info;
}

Result<Info> read_info(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "meta" / "info.json";
  if (!io::path_exists(path)) {
    return not_found("{}: not a LeRobot data set: {} is missing", folder.string(), path.string());
  }
  SINEW_ASSIGN(const io::Json json, io::read_json_file(path));
  return parse_info({json, path.string()});
}

}  // namespace sinew::dataset
