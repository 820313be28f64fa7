// Reading the named sites of a run (Policy's dump) and of a golden recording side by side.
#pragma once

#include "io/safetensors.h"
#include "support/golden_case.h"
#include "tensor/tensor_view.h"

#include "sinew/policy.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sinew::test {

std::vector<float> values_of(const ConstTensorView& view);

// "vis.embed.img0" -> the site "vis.embed", of which the golden file keeps the first image.
std::string site_of(const std::string& stage);

// Whether a recorded tensor is a real stage of the computation: not an input, a mask or an index.
bool is_real_stage(const std::string& name);

// Values at a site of a recording and of a run, as far as both have them: cut to what the golden
// tensor holds, without the padded rows of prompts.
struct SitePair {
  std::vector<float> expected, actual;
};

// The test fails if the dump lacks the site.
SitePair pair_of(const std::string& stage, const ConstTensorView& golden,
                 const io::SafetensorsFile& dump);

struct SiteError {
  double rms = 0;      // of the difference, relative to the rms of the expected values
  double largest = 0;  // |difference|
  size_t worst = 0;    // element that has it
};

// Precondition: equal sizes.
SiteError error_of(const SitePair& pair);

// One call of the nano policy over all samples of a golden case: what came out and every site.
struct GoldenRun {
  std::vector<ActionChunk> chunks;
  io::SafetensorsFile dump;  // mapped: its folder is gone already
};

// `options`: model, embodiment, device, steps and dump are filled in. Nothing, and a failed test,
// if the run fails.
std::optional<GoldenRun> run_golden(const std::filesystem::path& golden_folder,
                                    const GoldenCase& golden, PolicyOptions options);

}  // namespace sinew::test
