// meta/info.json of a LeRobot data set: version, file name templates, features (spec/dataset.md
// section 1.1). First thing read of a data set; everything else is found through it.
#pragma once

#include "io/json.h"

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::dataset {

// What a template's {fields} stand for; a version uses some of them.
struct PathFields {
  int64_t episode_chunk = 0;
  int64_t episode_index = 0;
  int64_t chunk_index = 0;
  int64_t file_index = 0;
  std::string video_key;
};

// The part of Python's format strings that file names use: {name}, {name:d}, {name:0Nd}, {{, }}.
class PathTemplate {
 public:
  // `where` is the place for messages. Errors: unknown field (lists the known ones), other format
  // specifications, unbalanced braces.
  static Result<PathTemplate> parse(const std::string& text, const std::string& where);

  // A path below the data set's folder; a result that is absolute or climbs out of it is refused.
  Result<std::filesystem::path> format(const PathFields& fields) const;

  bool uses(std::string_view field) const;

 private:
  struct Piece {
    std::string text;  // literal, or the name of a field
    bool is_field = false;
    size_t digits = 0;  // padded with zeros to this many
  };

  std::vector<Piece> pieces_;
  std::string where_;
};

struct Feature {
  std::string dtype;               // "float32", "int64", "video", "image", ...
  std::vector<int64_t> shape;      // empty when absent
  std::vector<std::string> names;  // of the dimensions; empty when null or not plain
  bool is_depth = false;
  double fps = 0;  // of a video, as its details say; 0: not said

  bool is_float() const { return dtype.find("float") != std::string::npos; }

  bool is_camera() const { return dtype == "video" || dtype == "image"; }
};

struct Info {
  enum class Layout { kV2, kV3 };  // v2.0 and v2.1 are laid out alike

  std::string version;
  Layout layout = Layout::kV2;
  PathTemplate data_path;
  std::optional<PathTemplate> video_path;
  int64_t chunks_size = 1000;  // episodes a chunk (v2)
  double fps = 30;
  bool is_fps_assumed = true;  // the file does not say
  std::string robot_type;
  std::map<std::string, Feature> features;

  // Names of the features that are cameras, for messages.
  std::vector<std::string> camera_features() const;
};

// Errors: keys missing or of the wrong type, unknown codebase_version, chunks_size < 1, fps not
// finite and positive.
Result<Info> parse_info(const io::JsonView& json);

// parse_info of FOLDER/meta/info.json; says that FOLDER is not a data set when it is missing.
Result<Info> read_info(const std::filesystem::path& folder);

}  // namespace sinew::dataset
