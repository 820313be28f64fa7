// Runs the built program and hands over what it printed; and the golden cases as the files it
// takes.
#pragma once

#include "io/json.h"
#include "io/safetensors.h"
#include "support/temp_folder.h"

#include <filesystem>
#include <string>
#include <vector>

namespace sinew::test {

struct Outcome {
  int exit_code = -1;  // -1: could not start; 128 + n: killed by signal n
  std::string out;
  std::string err;
};

// `sinew` with these words. Runs until it ends; ctest's time limit is the only one. A path takes
// stdout in place of Outcome::out.
Outcome run_sinew(const std::vector<std::string>& words, const std::string& stdout_path = "");

// stdout as JSON; a null value (and a failed expectation) when it is none.
io::Json json_of(const Outcome& outcome);

// A golden file; aborts the test binary's current test with an expectation when it cannot be read.
io::SafetensorsFile open_golden(const std::filesystem::path& path);
io::Json read_golden_json(const std::filesystem::path& path);

// A case of tests/golden/cases written as an observation file and a noise file.
struct GoldenCase {
  std::filesystem::path observation;
  std::filesystem::path noise;
  io::Json meta;
};

GoldenCase write_golden_case(const std::string& name, const TempFolder& folder);

// A tensor of a golden file, as a .npy of f32 with the last two axes kept and the rest flattened.
void write_noise(const io::SafetensorsFile& file, const std::string& tensor,
                 const std::filesystem::path& path);

// max |got - want| / max(1, max |want|), as the acceptance criterion has it; infinite when sizes
// differ or a value is not finite.
double relative_error(const std::vector<float>& got, const std::vector<float>& want);

std::vector<float> values_of(const ConstTensorView& view);

inline const std::filesystem::path kGolden = "tests/golden";
inline const std::filesystem::path kNano = "tests/golden/nano/checkpoint";
inline const std::filesystem::path kEagle = "tests/golden/nano/eagle";

}  // namespace sinew::test
