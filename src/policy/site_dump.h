// One safetensors file a call with every named site (spec/model.md section 11), as the golden files
// lay them out: vision sites of all images one after another, everything else with a leading batch
// axis, prompts left-padded with zeros.
#pragma once

#include "engine/session.h"
#include "policy/prepared_inputs.h"

#include "sinew/action_chunk.h"
#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sinew::policy {

// What one sample of a call left behind.
struct SiteSample {
  std::map<std::string, std::vector<float>> values;  // by site
  std::map<std::string, Shape> shapes;
  std::vector<int32_t> token_ids;
};

class SiteDump {
 public:
  explicit SiteDump(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Copies the sites of the sample that `executable` has just run.
  Status add_sample(engine::Executable& executable, const PreparedInputs::Impl& inputs,
                    const ActionChunk& chunk);

  // Writes DIR/call_NNNNNN.safetensors for the samples added since the last one, and counts up.
  Status write_call(int32_t pad_token_id);

 private:
  std::filesystem::path folder_;
  std::vector<SiteSample> samples_;
  int64_t calls_ = 0;
};

}  // namespace sinew::policy
