// What infer, eval and inspect share: a policy loaded from flags, and its times as a table.
#pragma once

#include "cli/options.h"
#include "eval/chunk_source.h"

#include "sinew/policy.h"
#include "sinew/result.h"

#include <string>

namespace sinew::cli {

// A loaded policy as the evaluation sees it.
class PolicySource final : public eval::ChunkSource {
 public:
  explicit PolicySource(Policy& policy) : policy_(policy) {}

  const PolicyInfo& info() const override { return policy_.info(); }

  Status act(const Observation& observation, ActionChunk& chunk) override {
    return policy_.act(observation, chunk);
  }

 private:
  Policy& policy_;
};

struct LoadedPolicy {
  Policy policy;
  double load_ms = 0;
};

// Loads (kUsage: no checkpoint named), and prints the policy's notices and the horizon on stderr.
Result<LoadedPolicy> load_policy(const ModelOptions& options);

// Stops what sinew cannot honour: --inference-mode tensorrt (kUnsupported). Notes the flag when it
// is given and changes nothing.
Status check_original(const OriginalBackendOptions& original, const FlagList& flags);

// Fails (kUsage) when `path` is a file that the run reads as `input_flag`: it would be lost.
Status check_not_input(const std::string& flag, const std::string& path,
                       const std::string& input_flag, const std::string& input);

// Says of --seed that it changes nothing next to --noise.
void note_unused_seed(const FlagList& flags);

// Component, milliseconds and share of the end-to-end time (--profile).
std::string profile_table(const Timings& timings, const std::string& title);

// Most bytes of RAM that the process had so far; 0 where the system does not say.
size_t peak_resident_bytes();

// Fails (kBadInput) unless `path` is a folder files can be written to, or could be created.
Status check_folder_creatable(const std::string& flag, const std::string& path);

// The same for --dump-sites, when it is given.
Status check_dump_folder(const ModelOptions& options);

}  // namespace sinew::cli
