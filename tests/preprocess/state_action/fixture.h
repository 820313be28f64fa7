// What the tests of state and action share: processor files as JSON values that a test may change,
// and arrays from golden files.
#pragma once

#include "io/json.h"
#include "io/safetensors.h"
#include "preprocess/config/processor_config.h"
#include "preprocess/state/state.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sinew::preprocess::testing {

// The three processor files of a checkpoint, called "ck/processor_config.json" and so on in errors.
struct Files {
  io::Json processor, statistics, ids;

  // processor_kwargs.
  io::Json& kwargs() { return processor["processor_kwargs"]; }

  Result<ProcessorConfig> resolve(const std::string& tag = "") const;
};

// {min, max, mean, std, q01, q99} of a group, made up: [-(i + 1), i + 1] in dimension i; quantiles
// a tenth further in.
io::Json flat_statistics(int64_t dims);
// The same for relative actions, [steps][dims]: step t has the range [-(t + 1), 2 (t + 1)].
io::Json stepwise_statistics(int64_t steps, int64_t dims);

// One embodiment, "new_embodiment": states arm (3), grip (1), eef (9); two action steps of arm
// (relative joints), grip (absolute), eef (relative pose, XYZ_ROT6D).
Files example_files();

// A folder of processor files in the repository.
Files read_files(const std::string& folder);

// Fails the test and returns an empty configuration when `files` do not resolve.
ProcessorConfig resolve_or_fail(const Files& files, const std::string& tag = "");

io::Json read_json_or_fail(const std::string& path);

// A golden tensor as f64; sample `index` of its first axis. The test fails when it is missing.
struct Samples {
  std::vector<int64_t> extents;  // of one sample
  std::vector<std::vector<double>> values;
};

Samples read_samples(const io::SafetensorsFile& file, const std::string& name);

// Raw state groups that own their numbers.
struct States {
  std::vector<std::string> keys;
  std::vector<std::vector<float>> values;
  int64_t steps = 1;

  void add(const std::string& key, std::vector<float> numbers);
  std::vector<StateGroup> groups() const;
};

std::vector<float> to_floats(const std::vector<double>& values);

}  // namespace sinew::preprocess::testing
