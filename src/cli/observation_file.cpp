#include "cli/observation_file.h"

#include "base/ascii.h"
#include "base/error.h"
#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "preprocess/image/image.h"
#include "preprocess/text/tokenizer.h"

#include <cmath>
#include <span>
#include <string_view>
#include <utility>

namespace sinew::cli {
namespace {

constexpr size_t kMaxBatch = 256;

Status check_language(std::string_view text, const std::string& where) {
  Status status = preprocess::check_instruction(text);
  return status.ok() ? Status() : std::move(status).with(where);
}

// Counts the pixels of a file's observations before they are decoded or copied.
class PixelBudget {
 public:
  explicit PixelBudget(const ObservationLimits& limits) : limits_(limits) {}

  void start_observation() { of_observation_ = 0; }

  // `frame` names it in messages.
  Status take(int64_t height, int64_t width, const std::string& frame) {
    const int64_t pixels = height * width;
    of_observation_ += pixels;
    of_file_ += pixels;
    const bool is_one = of_observation_ > limits_.pixels;
    if (!is_one && of_file_ <= limits_.file_pixels) {
      return {};
    }
    const int64_t found = is_one ? of_observation_ : of_file_;
    return bad_input(
        "{} ({} x {}): with it the frames of {} have {} pixels, at most {} are read; send smaller "
        "frames, the policy shrinks them anyway",
        frame, height, width, is_one ? "this observation" : "this batch", found,
        is_one ? limits_.pixels : limits_.file_pixels);
  }

 private:
  ObservationLimits limits_;
  int64_t of_observation_ = 0;
  int64_t of_file_ = 0;
};

// ---- JSON ----

Result<preprocess::Image> read_frame(const std::filesystem::path& path, PixelBudget& budget) {
  const std::string where = path.string();
  SINEW_ASSIGN(const std::string text, io::read_file(path));
  const auto bytes = std::as_bytes(std::span(text));
  SINEW_ASSIGN(const preprocess::Size size, preprocess::image_size(bytes, where));
  SINEW_TRY(budget.take(size.height, size.width, where));
  return preprocess::decode_image(bytes, where);
}

Result<dataset::Step::Frames> read_camera(const io::JsonView& files, const std::string& key,
                                          const std::filesystem::path& folder,
                                          PixelBudget& budget) {
  dataset::Step::Frames camera{key, {}};
  SINEW_ASSIGN(const std::vector<std::string> names, files.as_strings());
  if (names.empty()) {
    return files.error_here("expected one image file per time index, found an empty list");
  }
  for (const std::string& name : names) {
    Result<preprocess::Image> image = read_frame(folder / name, budget);
    if (!image.ok()) {
      return std::move(image).status().with(files.where());
    }
    camera.frames.push_back(std::move(image).value());
  }
  return camera;
}

// [time][dim] numbers to f32 [time, dims].
Result<dataset::Step::Values> read_group(const io::JsonView& rows, const std::string& key) {
  dataset::Step::Values group;
  group.key = key;
  SINEW_ASSIGN(const size_t count, rows.array_size());
  if (count == 0) {
    return rows.error_here("expected [time][dim] numbers, found an empty list");
  }
  for (size_t t = 0; t < count; ++t) {
    SINEW_ASSIGN(const io::JsonView row, rows.at(t));
    SINEW_ASSIGN(const std::vector<double> numbers, row.as_numbers());
    if (numbers.empty() || (t > 0 && std::ssize(numbers) != group.dims)) {
      return row.error_here(fmt::format("expected {} numbers as in the first row, found {}",
                                        t == 0 ? std::string("some") : std::to_string(group.dims),
                                        numbers.size()));
    }
    group.dims = std::ssize(numbers);
    for (const double number : numbers) {
      const auto value = static_cast<float>(number);
      if (!std::isfinite(value)) {
        return row.error_here(fmt::format("state values must be finite, found {}", number));
      }
      group.values.push_back(value);
    }
  }
  group.steps = static_cast<int64_t>(count);
  return group;
}

struct TaggedStep {
  std::string embodiment_tag;
  dataset::Step step;
};

Result<TaggedStep> read_object(const io::JsonView& object, const std::filesystem::path& folder,
                               PixelBudget& budget) {
  SINEW_TRY(object.expect_object());
  budget.start_observation();
  TaggedStep out;
  for (const std::string& key : object.keys()) {
    if (key != "embodiment_tag" && key != "video" && key != "state" && key != "language") {
      return object.error_here(fmt::format(
          "unknown key \"{}\"; an observation has embodiment_tag, video, state and language", key));
    }
  }
  if (object.has("embodiment_tag")) {
    SINEW_ASSIGN(const io::JsonView tag, object.at("embodiment_tag"));
    SINEW_ASSIGN(std::string text, tag.as_string());
    out.embodiment_tag = ascii_lower(std::move(text));
  }
  SINEW_ASSIGN(const io::JsonView video, object.at("video"));
  SINEW_TRY(video.expect_object());
  for (const std::string& key : video.keys()) {
    SINEW_ASSIGN(const io::JsonView files, video.at(key));
    SINEW_ASSIGN(dataset::Step::Frames camera, read_camera(files, key, folder, budget));
    out.step.video.push_back(std::move(camera));
  }
  SINEW_ASSIGN(const io::JsonView state, object.at("state"));
  SINEW_TRY(state.expect_object());
  for (const std::string& key : state.keys()) {
    SINEW_ASSIGN(const io::JsonView rows, state.at(key));
    SINEW_ASSIGN(dataset::Step::Values group, read_group(rows, key));
    out.step.state.push_back(std::move(group));
  }
  SINEW_ASSIGN(const io::JsonView language, object.at("language"));
  SINEW_ASSIGN(out.step.language, language.as_string());
  SINEW_TRY(check_language(out.step.language, language.where()));
  return out;
}

Result<ObservationFile> read_json_observation(const std::filesystem::path& path,
                                              PixelBudget& budget) {
  SINEW_ASSIGN(const io::Json document, io::read_json_file(path));
  const io::JsonView root(document, path.string());
  const std::filesystem::path folder = path.parent_path();
  ObservationFile file;
  if (!document.is_array()) {
    SINEW_ASSIGN(TaggedStep one, read_object(root, folder, budget));
    file.embodiment_tag = std::move(one.embodiment_tag);
    file.steps.push_back(std::move(one.step));
    return file;
  }
  SINEW_ASSIGN(const size_t count, root.array_size());
  if (count == 0 || count > kMaxBatch) {
    return root.error_here(
        fmt::format("a batch has 1 to {} observations, found {}", kMaxBatch, count));
  }
  for (size_t i = 0; i < count; ++i) {
    SINEW_ASSIGN(const io::JsonView object, root.at(i));
    SINEW_ASSIGN(TaggedStep one, read_object(object, folder, budget));
    if (i > 0 && one.embodiment_tag != file.embodiment_tag) {
      return object.error_here(
          fmt::format("embodiment_tag \"{}\" differs from the first observation's \"{}\"; a batch "
                      "is one robot's",
                      one.embodiment_tag, file.embodiment_tag));
    }
    file.embodiment_tag = std::move(one.embodiment_tag);
    file.steps.push_back(std::move(one.step));
  }
  return file;
}

// ---- named arrays ----

struct NamedArray {
  std::string name;
  ConstTensorView view;
};

Result<dataset::Step::Frames> frames_of(const NamedArray& array, const std::string& where,
                                        PixelBudget& budget) {
  const Shape& shape = array.view.shape;
  constexpr int64_t kMaxSide = 16384;
  if (array.view.dtype != DType::kU8 || shape.rank() != 4 || shape[3] != 3 ||
      shape.elements() == 0 || shape[1] > kMaxSide || shape[2] > kMaxSide) {
    return bad_input("{}: {}: expected u8 [time, height, width, 3], found {} {}", where, array.name,
                     dtype_name(array.view.dtype), shape.text());
  }
  dataset::Step::Frames camera{array.name.substr(std::string_view("video.").size()), {}};
  const std::span<const uint8_t> pixels = array.view.as<uint8_t>();
  const auto size = static_cast<size_t>(shape[1] * shape[2] * 3);
  for (size_t t = 0; t < static_cast<size_t>(shape[0]); ++t) {
    SINEW_TRY(budget.take(shape[1], shape[2], fmt::format("{}: {}[{}]", where, array.name, t)));
    const auto frame = pixels.subspan(t * size, size);
    camera.frames.push_back({shape[1], shape[2], {frame.begin(), frame.end()}});
  }
  return camera;
}

Result<dataset::Step::Values> group_of(const NamedArray& array, const std::string& where) {
  const Shape& shape = array.view.shape;
  const DType dtype = array.view.dtype;
  const bool is_float =
      dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16 || dtype == DType::kBf16;
  if (!is_float || shape.rank() != 2 || shape.elements() == 0) {
    return bad_input("{}: {}: expected f32 [time, dims], found {} {}", where, array.name,
                     dtype_name(dtype), shape.text());
  }
  dataset::Step::Values group{array.name.substr(std::string_view("state.").size()), shape[0],
                              shape[1], std::vector<float>(static_cast<size_t>(shape.elements()))};
  io::convert_to_f32(array.view, group.values);
  for (size_t i = 0; i < group.values.size(); ++i) {
    if (!std::isfinite(group.values[i])) {
      return bad_input("{}: {}: state values must be finite, element {} is {}", where, array.name,
                       i, group.values[i]);
    }
  }
  return group;
}

Result<ObservationFile> from_arrays(std::span<const NamedArray> arrays, const std::string& where,
                                    PixelBudget& budget) {
  dataset::Step step;
  for (const NamedArray& array : arrays) {
    if (array.name.starts_with("video.")) {
      SINEW_ASSIGN(dataset::Step::Frames camera, frames_of(array, where, budget));
      step.video.push_back(std::move(camera));
    } else if (array.name.starts_with("state.")) {
      SINEW_ASSIGN(dataset::Step::Values group, group_of(array, where));
      step.state.push_back(std::move(group));
    } else {
      return bad_input("{}: unknown array \"{}\"; expected video.<key> and state.<key>", where,
                       array.name);
    }
  }
  ObservationFile file;
  file.steps.push_back(std::move(step));
  return file;
}

// Takes `language` (required) and `embodiment_tag` (optional) out of a file's text entries.
template <class Entries>
Status take_texts(const Entries& entries, const std::string& where, ObservationFile& file) {
  bool has_language = false;
  for (const auto& [name, text] : entries) {
    if (name == "language") {
      SINEW_TRY(check_language(text, where));
      file.steps.front().language = text;
      has_language = true;
    } else if (name == "embodiment_tag") {
      file.embodiment_tag = ascii_lower(text);
    }
  }
  if (!has_language) {
    return not_found("{}: no \"language\" (the instruction) in the file's metadata", where);
  }
  return {};
}

Result<ObservationFile> read_safetensors_observation(const std::filesystem::path& path,
                                                     PixelBudget& budget) {
  SINEW_ASSIGN(const io::SafetensorsFile tensors, io::SafetensorsFile::open(path));
  std::vector<NamedArray> arrays;
  for (const io::TensorEntry& entry : tensors.tensors()) {
    arrays.push_back({entry.name, entry.view});
  }
  SINEW_ASSIGN(ObservationFile file, from_arrays(arrays, path.string(), budget));
  SINEW_TRY(take_texts(tensors.metadata(), path.string(), file));
  return file;
}

Result<ObservationFile> read_npz_observation(const std::filesystem::path& path,
                                             PixelBudget& budget) {
  SINEW_ASSIGN(const io::Npz npz, io::read_npz(path));
  std::vector<NamedArray> arrays;
  for (const io::NpzMember& member : npz.arrays) {
    arrays.push_back({member.name, member.array.view()});
  }
  SINEW_ASSIGN(ObservationFile file, from_arrays(arrays, path.string(), budget));
  SINEW_TRY(take_texts(npz.strings, path.string(), file));
  return file;
}

}  // namespace

Result<ObservationFile> read_observation_file(const std::filesystem::path& path,
                                              const ObservationLimits& limits) {
  PixelBudget budget(limits);
  const std::string ending = ascii_lower(path.extension().string());
  if (ending == ".json") {
    return read_json_observation(path, budget);
  }
  if (ending == ".npz") {
    return read_npz_observation(path, budget);
  }
  if (ending == ".safetensors") {
    return read_safetensors_observation(path, budget);
  }
  return bad_input("{}: an observation is a .json, .npz or .safetensors file", path.string());
}

}  // namespace sinew::cli
