#include "preprocess/image/row_tables.h"

#include <cstring>

namespace sinew::preprocess {
namespace {

template <class T>
void put(Line& line, int64_t byte, T value) {
  std::memcpy(line.bytes.data() + byte, &value, sizeof(T));
}

// Tap `tap` of lane `lane` in the weight lines of a step.
void put_weight(Line* lines, StepKind /*kind*/, int64_t lane, int64_t /*tap*/, float weight) {
  put(lines[0], 4 * lane, weight);
}

void put_weight(Line* lines, StepKind kind, int64_t lane, int64_t tap, int32_t weight) {
  if (kind == StepKind::kTaps16) {
    put(lines[0], 4 * lane + 2 * tap, static_cast<int16_t>(weight));
    return;
  }
  const ByteWeight parts = split_weight(weight);
  put(lines[0], 4 * lane + tap, parts.low);
  put(lines[1], 4 * lane + tap, parts.middle);
  put(lines[2], 4 * lane + tap, parts.high);
}

LaneBlocks::Group& group_of(LaneBlocks& blocks, int64_t steps) {
  for (LaneBlocks::Group& group : blocks.groups) {
    if (group.steps == steps) {
      return group;
    }
  }
  return blocks.groups.emplace_back(LaneBlocks::Group{.steps = steps});
}

template <class Weight>
LaneBlocks make(const WindowTable<Weight>& table, int64_t source_width, StepKind kind) {
  const int64_t taps = taps_of(kind);
  const int64_t values = std::ssize(table.windows) * kChannels;
  const int64_t row_bytes = source_width * kChannels;
  const int64_t lines = lines_of(kind);
  LaneBlocks blocks;
  for (int64_t first = 0; first < values; first += kBlockValues) {
    const int64_t count = std::min(kBlockValues, values - first);
    const auto window_of = [&](int64_t lane) {
      return table.windows[static_cast<size_t>((first + lane) / kChannels)];
    };
    int64_t begin = row_bytes;
    int64_t end = 0;
    int64_t steps = 0;
    for (int64_t lane = 0; lane < count; ++lane) {
      const auto window = window_of(lane);
      begin = std::min(begin, window.first * kChannels);
      end = std::max(end, window.end() * kChannels);
      steps = std::max(steps, (static_cast<int64_t>(window.count) + taps - 1) / taps);
    }
    begin = std::min(begin, row_bytes - kLineBytes);  // reads nothing beyond the row
    if (begin < 0 || end - begin > kLineBytes) {
      return {};
    }
    LaneBlocks::Group& group = group_of(blocks, steps);
    group.blocks.push_back(
        {static_cast<int32_t>(begin), static_cast<int32_t>(first), static_cast<int32_t>(count)});
    const size_t start = group.lines.size();
    group.lines.resize(start + static_cast<size_t>(steps * lines));
    for (int64_t lane = 0; lane < count; ++lane) {
      const auto window = window_of(lane);
      const auto weights = table.weights_of(window);
      const int64_t byte = window.first * kChannels + (first + lane) % kChannels - begin;
      for (int64_t i = 0; i < std::ssize(weights); ++i) {
        Line* step = group.lines.data() + start + (i / taps) * lines;
        put(step[0], 4 * lane + (i % taps) * (4 / taps),
            static_cast<uint8_t>(byte + i * kChannels));
        put_weight(step + 1, kind, lane, i % taps, weights[static_cast<size_t>(i)]);
      }
    }
  }
  return blocks;
}

}  // namespace

LaneBlocks make_blocks(const WindowTable<float>& table, int64_t source_width) {
  return make(table, source_width, StepKind::kTap32);
}

LaneBlocks make_blocks(const WindowTable<int32_t>& table, int64_t source_width, StepKind kind) {
  return make(table, source_width, kind);
}

}  // namespace sinew::preprocess
