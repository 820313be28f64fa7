// The noise file of --noise: recorded initial action noise, dealt out one entry a sample, call
// after call, and from the start again when used up (docs/cli.md).
#pragma once

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace sinew::eval {

class NoiseSequence {
 public:
  // No entries: next() gives empty spans, which means "draw from the policy's seed".
  NoiseSequence() = default;

  // A .npy of floats [entries, horizon, max_action_dim], or [horizon, max_action_dim] for one
  // entry. kBadInput: another rank, no entries, not finite.
  static Result<NoiseSequence> read(const std::filesystem::path& path);

  // The same from memory. Precondition: values.size() == entries * horizon * dims, entries > 0.
  NoiseSequence(std::vector<float> values, int64_t entries, int64_t horizon, int64_t dims);

  // kBadInput unless the entries have the extents that the policy's network needs.
  Status check(int64_t horizon, int64_t max_action_dim) const;

  // The next entry, [horizon * dims]; valid as long as this object.
  std::span<const float> next();

  // The same noise for a network with another number of action tokens: of each entry as many rows
  // as it takes, and from its last row on those that the generator draws for (seed, entry). Starts
  // at the first entry.
  NoiseSequence with_horizon(int64_t horizon, uint64_t seed) const;

  bool empty() const { return entries_ == 0; }

  int64_t entries() const { return entries_; }

 private:
  std::filesystem::path path_;
  std::vector<float> values_;  // [entries, horizon, dims]
  int64_t entries_ = 0;
  int64_t horizon_ = 0;
  int64_t dims_ = 0;
  int64_t position_ = 0;
};

}  // namespace sinew::eval
