#include "support/golden_case.h"

#include "io/json.h"
#include "tensor/convert.h"

#include <algorithm>

namespace sinew::test {
namespace {

constexpr std::string_view kStatePrefix = "obs.state.";

// f32 [batch, ...] -> the values of one sample.
std::vector<float> slice(const ConstTensorView& tensor, size_t sample) {
  std::vector<float> all(static_cast<size_t>(tensor.shape.elements()));
  convert_to_f32(tensor, all);
  const size_t size = all.size() / static_cast<size_t>(tensor.shape[0]);
  return {all.begin() + static_cast<std::ptrdiff_t>(sample * size),
          all.begin() + static_cast<std::ptrdiff_t>((sample + 1) * size)};
}

Status load_images(const std::filesystem::path& cases, const io::JsonView& meta, size_t sample,
                   GoldenSample& out) {
  SINEW_ASSIGN(const io::JsonView files, meta.at("video_png"));
  SINEW_ASSIGN(const io::JsonView extents, meta.at("video"));
  for (const std::string& camera : files.keys()) {
    SINEW_ASSIGN(const io::JsonView list, files.at(camera));
    SINEW_ASSIGN(const std::vector<std::string> names, list.as_strings());
    SINEW_ASSIGN(const io::JsonView extent, extents.at(camera));
    SINEW_ASSIGN(const std::vector<int64_t> shape, extent.as_ints());
    const auto steps = static_cast<size_t>(shape[1]);
    std::vector<preprocess::Image> images;
    for (size_t t = 0; t < steps; ++t) {
      SINEW_ASSIGN(preprocess::Image image,
                   preprocess::read_image(cases / names[sample * steps + t]));
      images.push_back(std::move(image));
    }
    out.camera_keys.push_back(camera);
    out.images.push_back(std::move(images));
  }
  return {};
}

void load_state(const io::SafetensorsFile& tensors, size_t sample, GoldenSample& out) {
  for (const io::TensorEntry& tensor : tensors.tensors()) {
    if (tensor.name.starts_with(kStatePrefix)) {
      out.state_keys.push_back(tensor.name.substr(kStatePrefix.size()));
      out.state_values.push_back(slice(tensor.view, sample));
      out.state.push_back(
          {.key = {}, .values = {}, .steps = tensor.view.shape[1], .dims = tensor.view.shape[2]});
    }
  }
}

// Points the views at the sample's own memory, once it lies still.
void refer(GoldenSample& sample) {
  for (size_t i = 0; i < sample.state.size(); ++i) {
    sample.state[i].key = sample.state_keys[i];
    sample.state[i].values = sample.state_values[i];
  }
  sample.frames.resize(sample.images.size());
  for (size_t i = 0; i < sample.images.size(); ++i) {
    for (const preprocess::Image& image : sample.images[i]) {
      sample.frames[i].push_back({image.pixels.data(), image.height, image.width});
    }
    sample.video.push_back({sample.camera_keys[i], sample.frames[i]});
  }
}

}  // namespace

Result<GoldenCase> load_golden_case(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path cases = folder / "cases";
  GoldenCase out;
  out.name = name;
  SINEW_ASSIGN(const io::Json meta, io::read_json_file(cases / (name + ".json")));
  SINEW_ASSIGN(out.expected, io::SafetensorsFile::open(cases / (name + ".safetensors")));
  out.embodiment_tag = meta.at("embodiment_tag").get<std::string>();
  out.denoising_steps = meta.at("steps").get<int64_t>();
  const std::string base = meta.value("observation_of", name);
  SINEW_ASSIGN(const io::Json base_meta, io::read_json_file(cases / (base + ".json")));
  SINEW_ASSIGN(const io::SafetensorsFile inputs,
               io::SafetensorsFile::open(cases / (base + ".safetensors")));
  const ConstTensorView noise = inputs.find("noise")->view;
  const io::Json languages = base_meta.at("language").begin().value();
  out.samples.resize(static_cast<size_t>(noise.shape[0]));
  for (size_t b = 0; b < out.samples.size(); ++b) {
    GoldenSample& sample = out.samples[b];
    SINEW_TRY(load_images(cases, io::JsonView(base_meta, base), b, sample));
    load_state(inputs, b, sample);
    sample.language = languages[b][0].get<std::string>();
    sample.noise = slice(noise, b);
    refer(sample);
  }
  return out;
}

std::vector<std::string> golden_case_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "cases")) {
    if (entry.path().extension() == ".json") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace sinew::test
