// Which tiles a product is cut into: plain host code, no CUDA.
#include "base/error.h"
#include "kernels/cuda/fused/gemm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sinew::cuda {
namespace {

constexpr int64_t kTileRows = 128;
constexpr size_t kSharedOfSm = 233472;  // sm_90
constexpr size_t kSharedReserved = 1024;

size_t stage_bytes(int columns) {
  return static_cast<size_t>(kTileRows + columns) * 128;
}

// Behind the ring: barriers, and two terms of every column and row.
size_t tail_bytes(int columns) {
  return 128 + 8 * static_cast<size_t>(kTileRows + columns);
}

}  // namespace

GemmBody gemm_body(const ops::DeviceCaps& device) {
  return device.compute_capability == 90 && device.has_own_code ? GemmBody::kSm90
                                                                : GemmBody::kMmaSync;
}

std::span<const int> gemm_tile_columns(GemmEpilogue epilogue) {
  static constexpr std::array kBias{64, 96, 128, 160, 192, 224, 256};
  static constexpr std::array kGelu{64, 96, 128, 160, 192, 224};
  static constexpr std::array kErf{64, 128};
  static constexpr std::array kResidual{64, 96, 128, 192, 256};
  static constexpr std::array kSwiGlu{96, 128, 192, 256};
  static constexpr std::array kHead{128};
  switch (epilogue) {
    case GemmEpilogue::kBias:
      return kBias;
    case GemmEpilogue::kGeluTanh:
      return kGelu;
    case GemmEpilogue::kGeluErf:
      return kErf;
    case GemmEpilogue::kResidual:
      return kResidual;
    case GemmEpilogue::kSwiGlu:
      return kSwiGlu;
    case GemmEpilogue::kHeadRope:
      return kHead;
  }
  return {};
}

int gemm_row_parts(const GemmTile& tile, int64_t n) {
  const int columns = tile.split_k == 4 ? tile.columns / 2 : tile.columns;
  return static_cast<int>((n + columns - 1) / columns);
}

bool can_norm_behind(const GemmTile& before, int64_t n, const ops::DeviceCaps& device) {
  return gemm_body(device) == GemmBody::kSm90 && gemm_row_parts(before, n) <= kMostRowParts;
}

size_t gemm_shared_bytes(const GemmTile& tile) {
  return static_cast<size_t>(tile.stages) * stage_bytes(tile.columns) + tail_bytes(tile.columns);
}

Status check_gemm(const GemmArgs& args) {
  const bool is_gated = args.epilogue == GemmEpilogue::kSwiGlu;
  const bool is_heads = args.epilogue == GemmEpilogue::kHeadRope;
  const int64_t multiple = is_heads ? 128 : is_gated ? 32 : 16;
  if (args.m < 1 || args.n < 1 || args.k < 1 || args.n % multiple != 0 || args.k % 8 != 0) {
    return unsupported(
        "a fused product of [{}, {}] with [{}, {}]: the width must be a multiple of {} and the "
        "depth one of 8",
        args.m, args.k, args.n, args.k, multiple);
  }
  return {};
}

int gemm_most_stages(const GemmTile& tile, int blocks_per_sm) {
  const auto blocks = static_cast<size_t>(blocks_per_sm);
  const size_t room = kSharedOfSm / blocks - kSharedReserved - tail_bytes(tile.columns);
  return static_cast<int>(std::min<size_t>(room / stage_bytes(tile.columns), 8));
}

bool gemm_tile_fits(GemmEpilogue epilogue, const GemmTile& tile) {
  const bool is_gated = epilogue == GemmEpilogue::kSwiGlu;
  const int most_splits = is_gated ? 1 : epilogue == GemmEpilogue::kHeadRope ? 2 : 4;
  // A part of a tile that one block fetches for others is whole groups of rows, and whole groups of
  // 8 rows of a.
  return tile.cluster_m * tile.cluster_n * tile.split_k <= 8 && tile.split_k <= most_splits &&
         tile.columns % ((is_gated ? 32 : 16) * tile.cluster_m) == 0 &&
         (tile.split_k < 4 || tile.columns % 32 == 0);
}

namespace {

// Time of a tile's depth in arbitrary units: the slower of tensor cores and the way from L2, times
// the rounds that all tiles take.
double cost(const GemmTile& tile, int64_t m, int64_t n, int64_t k, const ops::DeviceCaps& device) {
  const auto tiles = [](int64_t extent, int64_t tile_extent, int multiple) {
    const int64_t count = (extent + tile_extent - 1) / tile_extent;
    return (count + multiple - 1) / multiple * multiple;
  };
  const int64_t count =
      tiles(m, kTileRows, tile.cluster_m) * tiles(n, tile.columns, tile.cluster_n) * tile.split_k;
  const int64_t cluster = int64_t{tile.cluster_m} * tile.cluster_n * tile.split_k;
  // Clusters of 4 and more leave some multiprocessors of a group without work.
  const int64_t slots = (device.multiprocessors - (cluster > 2 ? 4 : 0)) / cluster * cluster;
  const double rounds = std::ceil(static_cast<double>(count) / static_cast<double>(slots));
  const int64_t steps = (k + 63) / 64;
  const double depth = static_cast<double>(steps) / tile.split_k;
  const double compute = static_cast<double>(tile.columns) * 4;  // cycles a step
  const double bytes = 128.0 * (static_cast<double>(kTileRows) / tile.cluster_n +
                                static_cast<double>(tile.columns) / tile.cluster_m);
  const double fixed = 1500.0 + (tile.split_k > 1 ? 1200.0 : 0.0);
  return rounds * (depth * std::max(compute, bytes / 32) + tile.columns * 8.0) + fixed;
}

// What was fastest on an H100: products of blocks inside a chain of layers, the others in a chain
// of their own (docs/performance.md).
struct Measured {
  GemmEpilogue epilogue = GemmEpilogue::kBias;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  GemmTile tile;
};

constexpr Measured kMeasured[] = {
    {GemmEpilogue::kBias, 324, 3456, 1152, {96, 1, 1, 1, 8}},
    {GemmEpilogue::kResidual, 324, 1152, 1152, {64, 1, 2, 2, 8}},
    {GemmEpilogue::kGeluTanh, 324, 4304, 1152, {128, 1, 1, 1, 7}},
    {GemmEpilogue::kResidual, 324, 1152, 4304, {64, 1, 4, 2, 8}},
    {GemmEpilogue::kGeluErf, 81, 2048, 4608, {64, 1, 4, 2, 8}},
    {GemmEpilogue::kResidual, 81, 2048, 2048, {64, 1, 1, 2, 8}},
    {GemmEpilogue::kBias, 81, 24576, 2048, {192, 1, 1, 1, 5}},
    {GemmEpilogue::kBias, 720, 3456, 1152, {160, 1, 1, 1, 6}},
    {GemmEpilogue::kResidual, 720, 1152, 1152, {64, 1, 1, 1, 8}},
    {GemmEpilogue::kGeluTanh, 720, 4304, 1152, {224, 1, 1, 1, 5}},
    {GemmEpilogue::kResidual, 720, 1152, 4304, {64, 2, 4, 1, 8}},
    {GemmEpilogue::kGeluErf, 180, 2048, 4608, {128, 1, 1, 2, 7}},
    {GemmEpilogue::kResidual, 180, 2048, 2048, {64, 1, 4, 1, 8}},
    {GemmEpilogue::kBias, 180, 24576, 2048, {192, 2, 1, 1, 5}},
    {GemmEpilogue::kBias, 1440, 3456, 1152, {160, 1, 2, 1, 6}},
    {GemmEpilogue::kResidual, 1440, 1152, 1152, {128, 1, 1, 1, 7}},
    {GemmEpilogue::kGeluTanh, 1440, 4304, 1152, {224, 1, 1, 1, 5}},
    {GemmEpilogue::kResidual, 1440, 1152, 4304, {128, 4, 2, 1, 7}},
    {GemmEpilogue::kGeluErf, 360, 2048, 4608, {128, 1, 4, 2, 7}},
    {GemmEpilogue::kResidual, 360, 2048, 2048, {64, 1, 1, 1, 8}},
    {GemmEpilogue::kBias, 360, 24576, 2048, {192, 1, 1, 1, 5}},
    {GemmEpilogue::kHeadRope, 116, 4096, 2048, {128, 1, 1, 2, 7}},
    {GemmEpilogue::kResidual, 116, 2048, 2048, {64, 1, 1, 2, 8}},
    {GemmEpilogue::kSwiGlu, 116, 12288, 2048, {96, 1, 1, 1, 8}},
    {GemmEpilogue::kResidual, 116, 2048, 6144, {64, 1, 1, 2, 8}},
    {GemmEpilogue::kHeadRope, 222, 4096, 2048, {128, 1, 1, 2, 7}},
    {GemmEpilogue::kResidual, 222, 2048, 2048, {96, 1, 2, 2, 8}},
    {GemmEpilogue::kSwiGlu, 222, 12288, 2048, {192, 1, 1, 1, 5}},
    {GemmEpilogue::kResidual, 222, 2048, 6144, {96, 2, 1, 2, 8}},
    {GemmEpilogue::kHeadRope, 411, 4096, 2048, {128, 1, 2, 1, 7}},
    {GemmEpilogue::kResidual, 411, 2048, 2048, {96, 2, 4, 1, 8}},
    {GemmEpilogue::kSwiGlu, 411, 12288, 2048, {192, 1, 2, 1, 5}},
    {GemmEpilogue::kResidual, 411, 2048, 6144, {192, 2, 1, 2, 5}},
    {GemmEpilogue::kBias, 42, 24576, 2048, {192, 1, 1, 1, 5}},
};

int64_t row_tiles_of(int64_t rows) {
  return (rows + kTileRows - 1) / kTileRows;
}

// The measured shape of the same matrix with as many row tiles, or null.
const Measured* measured(GemmEpilogue epilogue, int64_t m, int64_t n, int64_t k) {
  for (const Measured& row : kMeasured) {
    if (row.epilogue == epilogue && row.n == n && row.k == k &&
        row_tiles_of(row.m) == row_tiles_of(m)) {
      return &row;
    }
  }
  return nullptr;
}

// The measured shape of the same matrix with the fewest more row tiles, else the most of fewer, or
// null: a table of neighbours is nearer to the truth than the cost model (258 tokens took longer
// with its tiles than 411 with theirs).
const Measured* neighbour(GemmEpilogue epilogue, int64_t m, int64_t n, int64_t k) {
  const int64_t wanted = row_tiles_of(m);
  const Measured* best = nullptr;
  const auto distance = [wanted](const Measured& row) {
    const int64_t more = row_tiles_of(row.m) - wanted;
    return more >= 0 ? more : std::numeric_limits<int32_t>::max() - more;
  };
  for (const Measured& row : kMeasured) {
    const bool is_same_matrix = row.epilogue == epilogue && row.n == n && row.k == k;
    if (is_same_matrix && row.tile.cluster_m <= wanted &&
        (best == nullptr || distance(row) < distance(*best))) {
      best = &row;
    }
  }
  return best;
}

}  // namespace

bool is_measured_gemm(GemmEpilogue epilogue, int64_t m, int64_t n, int64_t k,
                      const ops::DeviceCaps& device) {
  return gemm_body(device) == GemmBody::kSm90 && measured(epilogue, m, n, k) != nullptr;
}

GemmTile choose_gemm_tile(GemmEpilogue epilogue, int64_t m, int64_t n, int64_t k,
                          const ops::DeviceCaps& device) {
  if (const Measured* const row = neighbour(epilogue, m, n, k)) {
    return row->tile;
  }
  GemmTile best;
  double least = std::numeric_limits<double>::infinity();
  const int64_t row_tiles = row_tiles_of(m);
  for (const int columns : gemm_tile_columns(epilogue)) {
    for (const int cluster_m : {1, 2, 4}) {
      for (const int cluster_n : {1, 2}) {
        for (const int split_k : {1, 2, 4}) {
          GemmTile tile{.columns = columns,
                        .cluster_m = cluster_m,
                        .cluster_n = cluster_n,
                        .split_k = split_k};
          if (cluster_m > row_tiles || !gemm_tile_fits(epilogue, tile)) {
            continue;
          }
          tile.stages = gemm_most_stages(tile, tile.columns <= 96 ? 2 : 1);
          const double time = cost(tile, m, n, k, device);
          if (time < least) {
            least = time;
            best = tile;
          }
        }
      }
    }
  }
  return best;
}

}  // namespace sinew::cuda
