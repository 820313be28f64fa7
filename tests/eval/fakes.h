// A data set in memory and predictors over it, so that the evaluation's arithmetic is tested by
// itself.
#pragma once

#include "base/error.h"
#include "dataset/dataset.h"
#include "eval/chunk_source.h"

#include <cmath>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sinew::test {

// The recorded value of dimension `dim` of `key` at `row`: smooth, and different everywhere.
inline float recorded_value(const std::string& key, int64_t row, int64_t dim) {
  const auto phase = static_cast<float>(key.size()) + static_cast<float>(dim);
  return std::sin(0.21F * static_cast<float>(row) + phase) + 0.1F * static_cast<float>(dim);
}

class FakeEpisode final : public dataset::Episode {
 public:
  FakeEpisode(const dataset::DatasetInfo& info, int64_t position, int64_t length)
      : info_(info), position_(position), length_(length) {}

  int64_t length() const override { return length_; }

  int64_t index() const override { return position_ + 100; }

  Result<std::string> language(std::string_view, int64_t, int64_t) override {
    return std::string("go");
  }

  Result<preprocess::Image> frame(std::string_view, int64_t row) override {
    return preprocess::Image{2, 2, std::vector<uint8_t>(12, static_cast<uint8_t>(row))};
  }

  size_t column_bytes() const override { return 1000; }

  size_t video_bytes() const override { return 500; }

 protected:
  Result<dataset::Step::Values> values(Kind kind, std::string_view name,
                                       std::span<const int64_t> rows) override {
    const auto& groups = kind == Kind::kState ? info_.state : info_.action;
    const auto group = groups.find(std::string(name));
    if (group == groups.end()) {
      return not_found("no group {}", name);
    }
    dataset::Step::Values out;
    out.key = group->first;
    out.steps = std::ssize(rows);
    out.dims = group->second.end - group->second.start;
    for (const int64_t row : rows) {
      for (int64_t dim = 0; dim < out.dims; ++dim) {
        out.values.push_back(recorded_value(out.key, row, dim));
      }
    }
    return out;
  }

 private:
  const dataset::DatasetInfo& info_;
  int64_t position_;
  int64_t length_;
};

class FakeDataset final : public dataset::Dataset {
 public:
  explicit FakeDataset(std::vector<int64_t> lengths) : lengths_(std::move(lengths)) {
    info_.episodes = std::ssize(lengths_);
    info_.state["arm"] = {"observation.state", 0, 2, {"shoulder", "elbow"}};
    info_.state["grip"] = {"observation.state", 2, 3, {}};
    info_.action["arm"] = {"action", 0, 2, {"shoulder", "elbow"}};
    info_.action["grip"] = {"action", 2, 3, {}};
    info_.cameras["front"] = "observation.images.front";
    info_.annotations["human.task"] = "task_index";
  }

  const dataset::DatasetInfo& info() const override { return info_; }

  const std::filesystem::path& path() const override { return path_; }

  Result<std::unique_ptr<dataset::Episode>> open_episode(int64_t position) const override {
    return std::unique_ptr<dataset::Episode>(
        std::make_unique<FakeEpisode>(info_, position, lengths_.at(static_cast<size_t>(position))));
  }

 private:
  std::vector<int64_t> lengths_;
  dataset::DatasetInfo info_;
  std::filesystem::path path_ = "fake";
};

// Predicts the recorded actions of the row it is shown (the frame's pixels carry it) plus a
// constant.
class ReplaySource : public eval::ChunkSource {
 public:
  explicit ReplaySource(float offset) : offset_(offset) {
    info_.cameras = {"front"};
    info_.video_deltas = {0};
    info_.state_deltas = {0};
    for (int64_t i = 0; i < kRows; ++i) {
      info_.action_deltas.push_back(i);
    }
    info_.state = {{"arm", 1, 2}, {"grip", 1, 1}};
    info_.action = {{"arm", kRows, 2}, {"grip", kRows, 1}};
    info_.language_key = "annotation.human.task";
    info_.horizon = kRows + 3;
    info_.action_steps = kRows;
    info_.max_action_dim = 4;
  }

  const PolicyInfo& info() const override { return info_; }

  Status act(const Observation& observation, ActionChunk& chunk) override {
    const auto row = static_cast<int64_t>(observation.video.front().frames.front().pixels[0]);
    rows_.push_back(row);
    noise_.emplace_back(observation.noise.begin(), observation.noise.end());
    chunk = {};
    for (const GroupShape& group : info_.action) {
      ActionValues values{group.key, kRows, group.dims, {}};
      for (int64_t i = 0; i < kRows; ++i) {
        for (int64_t dim = 0; dim < group.dims; ++dim) {
          values.values.push_back(recorded_value(group.key, row + i, dim) + offset_);
        }
      }
      chunk.actions.push_back(std::move(values));
    }
    chunk.timings.end_to_end_ms = 2;
    return {};
  }

  const std::vector<int64_t>& rows() const { return rows_; }

  const std::vector<std::vector<float>>& noise() const { return noise_; }

  static constexpr int64_t kRows = 20;

 protected:
  PolicyInfo info_;

 private:
  float offset_;
  std::vector<int64_t> rows_;
  std::vector<std::vector<float>> noise_;
};

}  // namespace sinew::test
