#include "support/golden_sites.h"

#include "support/temp_folder.h"
#include "support/test_device.h"
#include "tensor/convert.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sinew::test {
namespace {

// The rows of `x` [b, t, d] whose attention mask is 1.
std::vector<float> valid_rows(const std::vector<float>& x, const std::vector<float>& mask) {
  const size_t width = x.size() / mask.size();
  std::vector<float> kept;
  for (size_t row = 0; row < mask.size(); ++row) {
    if (mask[row] != 0) {
      kept.insert(kept.end(), x.begin() + static_cast<std::ptrdiff_t>(row * width),
                  x.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    }
  }
  return kept;
}

}  // namespace

std::vector<float> values_of(const ConstTensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  convert_to_f32(view, values);
  return values;
}

std::string site_of(const std::string& stage) {
  return stage.substr(0, stage.find(".img0"));
}

bool is_real_stage(const std::string& name) {
  return name != "input_ids" && !name.ends_with("_mask") && !name.starts_with("obs.") &&
         name != "noise" && name != "embodiment_id" && name != "vis.spatial_shapes" &&
         !name.ends_with(".timestep");
}

SitePair pair_of(const std::string& stage, const ConstTensorView& golden,
                 const io::SafetensorsFile& dump) {
  const io::TensorEntry* ours = dump.find(site_of(stage));
  if (ours == nullptr) {
    ADD_FAILURE() << "no site " << site_of(stage);
    return {};
  }
  SitePair pair{values_of(golden), values_of(ours->view)};
  if (stage == "pixel_values.img0.rows0to55") {  // [3, 56, W] of [v, 3, H, W]
    const auto height = static_cast<size_t>(ours->view.shape[2]);
    const auto width = static_cast<size_t>(ours->view.shape[3]);
    std::vector<float> rows;
    for (size_t c = 0; c < 3; ++c) {
      const auto* first = &pair.actual[c * height * width];
      rows.insert(rows.end(), first, first + 56 * width);
    }
    pair.actual = rows;
  } else if (stage != site_of(stage)) {
    EXPECT_GE(pair.actual.size(), pair.expected.size());
    pair.actual.resize(pair.expected.size());  // the first image is the first rows
  } else if (stage.starts_with("llm.") || stage == "backbone_features" || stage == "vlln") {
    const auto mask = values_of(dump.find("attention_mask")->view);
    pair.expected = valid_rows(pair.expected, mask);
    pair.actual = valid_rows(pair.actual, mask);
  }
  return pair;
}

SiteError error_of(const SitePair& pair) {
  SiteError error;
  double squares = 0;
  double reference = 0;
  for (size_t i = 0; i < pair.expected.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(pair.actual[i]) - pair.expected[i]);
    squares += difference * difference;
    reference += static_cast<double>(pair.expected[i]) * pair.expected[i];
    if (!(difference <= error.largest)) {  // a NaN is the largest
      error.largest = difference;
      error.worst = i;
    }
  }
  error.rms = std::sqrt(reference > 0 ? squares / reference : squares);
  return error;
}

std::optional<GoldenRun> run_golden(const std::filesystem::path& golden_folder,
                                    const GoldenCase& golden, PolicyOptions options) {
  const TempFolder folder;
  options.model_path = golden_folder / "nano/checkpoint";
  options.embodiment_tag = golden.embodiment_tag;
  options.device = test_device();
  options.lowering = test_lowering();
  options.denoising_steps = golden.denoising_steps;
  options.dump_sites = folder.path();
  auto policy = Policy::load(options);
  if (!policy.ok()) {
    ADD_FAILURE() << policy.status().message();
    return std::nullopt;
  }
  std::vector<Observation> observations;
  for (const GoldenSample& sample : golden.samples) {
    observations.push_back(sample.observation());
  }
  std::vector<ActionChunk> chunks(observations.size());
  const Status status = policy.value().act_batch(observations, chunks);
  auto dump = io::SafetensorsFile::open(folder / "call_000000.safetensors");
  if (!status.ok() || !dump.ok()) {
    ADD_FAILURE() << status.message() << dump.status().message();
    return std::nullopt;
  }
  return GoldenRun{.chunks = std::move(chunks), .dump = std::move(dump).value()};
}

}  // namespace sinew::test
