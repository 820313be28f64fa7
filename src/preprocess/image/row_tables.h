// What a resize needs to know of one axis, worked out once for a pair of sizes. Private to this
// folder.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace sinew::preprocess {

// Channels of every image here.
inline constexpr int64_t kChannels = 3;

// For each destination index of one axis: the consecutive source pixels it is made of, with
// weights.
template <class Weight>
struct WindowTable {
  struct Window {
    int64_t first = 0;  // source index of the first weight
    size_t begin = 0;   // its place in `weights`
    size_t count = 0;

    int64_t end() const { return first + static_cast<int64_t>(count); }
  };

  std::vector<Window> windows{};
  std::vector<Weight> weights{};

  // Weights pushed after this belong to the new window, until close().
  void open(int64_t first) { windows.push_back({first, weights.size(), 0}); }

  void close() { windows.back().count = weights.size() - windows.back().begin; }

  std::span<const Weight> weights_of(const Window& window) const {
    return std::span(weights).subspan(window.begin, window.count);
  }

  // Only the windows [first, first + count).
  void keep(int64_t first, int64_t count) {
    windows = {windows.begin() + first, windows.begin() + first + count};
  }

  // The most weights of a window.
  int64_t longest() const {
    size_t most = 0;
    for (const Window& window : windows) {
      most = std::max(most, window.count);
    }
    return static_cast<int64_t>(most);
  }
};

inline constexpr int64_t kLineBytes = 64;

// Contents of one 64-byte register.
struct alignas(kLineBytes) Line {
  std::array<uint8_t, kLineBytes> bytes{};
};

// The same windows in the order in which 512-bit registers read them. 16 consecutive values of a
// destination row (5 1/3 pixels) are a block; it reads kLineBytes source bytes, in which an index
// finds the bytes of each tap. A step is one index line and the weights of as many taps of all 16
// values as have room. Steps beyond a window's taps have weight 0, which changes no sum: a sum of
// products of bytes and weights is never -0.
struct LaneBlocks {
  struct Block {
    int32_t source = 0;       // first source byte
    int32_t destination = 0;  // first value
    int32_t values = 0;       // kBlockValues, or fewer of the last one
  };

  // Blocks with as many steps: a loop that does not ask for their number is not mispredicted.
  struct Group {
    int64_t steps = 0;
    std::vector<Block> blocks{};
    std::vector<Line> lines{};  // [blocks][steps][1 + weight lines]
  };

  std::vector<Group> groups{};

  bool empty() const { return groups.empty(); }
};

inline constexpr int64_t kBlockValues = 16;

// A kind of step: one of Tap32 (a tap of f32), Taps16 (two of i16) and Taps8 (four of 24 bits, each
// split over three lines of i8).
enum class StepKind : uint8_t { kTap32, kTaps16, kTaps8 };

constexpr int64_t taps_of(StepKind kind) {
  return kind == StepKind::kTap32 ? 1 : kind == StepKind::kTaps16 ? 2 : 4;
}

constexpr int64_t lines_of(StepKind kind) {
  return kind == StepKind::kTaps8 ? 4 : 2;
}

// The windows of a row of pixels as a table, and as blocks where they fit: a block must find all of
// its source bytes in one register.
template <class Weight>
struct Columns {
  WindowTable<Weight> table;
  int64_t taps = 0;            // of the longest window
  std::vector<Weight> even{};  // [windows][taps]: the weights, with zeros behind those of each
  LaneBlocks blocks{};

  Columns() = default;

  explicit Columns(WindowTable<Weight> windows) : table(std::move(windows)), taps(table.longest()) {
    even.resize(table.windows.size() * static_cast<size_t>(taps));
    auto* row = even.data();
    for (const auto& window : table.windows) {
      const auto weights = table.weights_of(window);
      std::copy(weights.begin(), weights.end(), row);
      row += taps;
    }
  }

  int64_t values() const { return std::ssize(table.windows) * kChannels; }
};

// weight = 65536 high + 256 middle + low. Precondition: |weight| < 2^23 - 2^16; those of a filter
// are below 1.4 * 2^22.
struct ByteWeight {
  int8_t low = 0;
  int8_t middle = 0;
  int8_t high = 0;
};

constexpr ByteWeight split_weight(int32_t weight) {
  const auto low = static_cast<int8_t>(weight & 0xff);
  const int32_t rest = (weight - low) / 256;
  const auto middle = static_cast<int8_t>(rest & 0xff);
  return {low, middle, static_cast<int8_t>((rest - middle) / 256)};
}

// source_width: pixels of a source row.
LaneBlocks make_blocks(const WindowTable<float>& table, int64_t source_width);  // kTap32
LaneBlocks make_blocks(const WindowTable<int32_t>& table, int64_t source_width, StepKind kind);

}  // namespace sinew::preprocess
