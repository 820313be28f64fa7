// Where everything of the fused diffusion transformer lies: how its work is cut into CTAs, the
// order in which a CTA's weights are streamed, and the exchange buffers. Host and device read this
// one description; dit_stack.cu says how the parts work together.
//
// 128 CTAs. CTA c has head group j = c / 4 and rank r = c % 4.
//   q, k, v   rows of head j, columns of quarter r          [3*48, 384]
//   out       rows of eighth c % 8, columns of slice c / 8  [192, 96]
//   up        rows [192 j, 192 (j+1)), columns of quarter r [192, 384]
//   down      rows of eighth c % 8, columns of slice c / 8  [192, 384]
// Weights arrive in stages of 18 KB, a third for each of the three warpgroups: four k16 tiles of 48
// rows (q, k, v) or three of 64 rows (the others), each in the order of wgmma's core matrices.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define SINEW_HOST_DEVICE __host__ __device__
#else
#define SINEW_HOST_DEVICE
#endif

namespace sinew::cuda::dit {

constexpr int kWidth = 1536;  // d
constexpr int kHeads = 32;
constexpr int kHeadDim = 48;
constexpr int kHidden = 6144;  // f
constexpr int kCtas = 128;
constexpr int kRanks = 4;        // CTAs of a head group
constexpr int kSlice = 384;      // columns of every product but `out`
constexpr int kGroupRows = 192;  // rows of up and down in a CTA
constexpr int kOutSlice = 96;    // columns of out: two heads
constexpr int kDownSlices = 16;  // kHidden / kSlice, kWidth / kOutSlice
constexpr int kDownGroups = 8;   // kWidth / kGroupRows
constexpr int kMaxBlocks = 64;
constexpr int kMaxTokens = 56;
constexpr int kSmallTokens = 24;  // up to here the three-tile kernel

constexpr size_t kSharedBytes = 232448;  // of a CTA, at most: all that sm_90 has
constexpr int kStageBytes = 18432;
constexpr int kShareBytes = kStageBytes / 3;  // of a warpgroup
constexpr int kChunkKeys = 16;
constexpr int kChunkBytes = kChunkKeys * kHeadDim * 2 * 2;  // 16 keys, then their 16 values
constexpr int kStageChunks = kStageBytes / kChunkBytes;

// Stages of one block's products.
constexpr int kQkvStages = 6;
constexpr int kQueryStages = 2;
constexpr int kOutStages = 2;
constexpr int kFeedForwardStages = 8;
constexpr int kCrossStages = kQueryStages + kOutStages + 2 * kFeedForwardStages;
constexpr int kSelfStages = kQkvStages + kOutStages + 2 * kFeedForwardStages;

static_assert(kHeads * kHeadDim == kWidth && kHeads * kRanks == kCtas);
static_assert(kSlice * kRanks == kWidth && kSlice * kDownSlices == kHidden);
static_assert(kOutSlice * kDownSlices == kWidth);
static_assert(kDownGroups * kDownSlices == kCtas && kChunkBytes * kStageChunks == kStageBytes);

// Even blocks attend to the context, odd ones to the tokens themselves.
SINEW_HOST_DEVICE constexpr bool is_cross(int block) {
  return block % 2 == 0;
}

// Weight stages that a CTA reads of a block.
SINEW_HOST_DEVICE constexpr int block_stages(bool cross) {
  return cross ? kCrossStages : kSelfStages;
}

// One block's weights, packed: [cta][stage].
constexpr size_t block_bytes(bool cross) {
  return static_cast<size_t>(block_stages(cross)) * kStageBytes * kCtas;
}

SINEW_HOST_DEVICE constexpr int context_chunks(int tokens) {
  return (tokens + kChunkKeys - 1) / kChunkKeys;
}

SINEW_HOST_DEVICE constexpr int context_stages(int tokens) {
  return (context_chunks(tokens) + kStageChunks - 1) / kStageChunks;
}

// Keys and values of one cross block, packed: [head][stage][chunk].
constexpr size_t context_bytes(int tokens) {
  return static_cast<size_t>(context_stages(tokens)) * kStageBytes * kHeads;
}

// What a group needs of one block besides weights, in f32: [blocks][group][kVectorFloats].
// A norm is applied behind its product: W(norm(x)(1 + scale) + shift) + b =
// inverse_deviation * (W(x (1 + scale)) - mean * gain) + offset.
constexpr int kQkvGain = 0;                          // [3, 48]: rows of W summed with (1 + scale)
constexpr int kQkvOffset = kQkvGain + 3 * kHeadDim;  // [3, 48]: W shift + b
constexpr int kOutBias = kQkvOffset + 3 * kHeadDim;  // [48]
constexpr int kUpGain = kOutBias + kHeadDim;         // [192]
constexpr int kUpOffset = kUpGain + kGroupRows;      // [192]
constexpr int kDownBias = kUpOffset + kGroupRows;    // [48]
constexpr int kScale = kDownBias + kHeadDim;         // [48]: 1 + scale, of this block's norm
constexpr int kVectorFloats = kScale + kHeadDim;
static_assert(kVectorFloats % 4 == 0);

constexpr size_t vector_floats(int blocks) {
  return static_cast<size_t>(blocks) * kHeads * kVectorFloats;
}

enum class Matrix : uint8_t { kQuery, kKey, kValue, kOut, kUp, kDown };

// Eight weights in a row: what 16 bytes of the stream hold.
struct WeightRun {
  Matrix matrix;
  int row, column;
};

// wgmma gives a lane rows g and g + 8 of a 16-row tile; the matrix's rows 2g and 2g + 1 are put
// there, so that a lane has neighbours to store together.
SINEW_HOST_DEVICE constexpr int tile_row(int position) {
  const int in_tile = position % 16;
  return position - in_tile + (in_tile < 8 ? 2 * in_tile : 2 * (in_tile - 8) + 1);
}

// What lies at 16-byte run `run` of warpgroup `group`'s share of stage `stage` (of its block).
SINEW_HOST_DEVICE constexpr WeightRun weight_at(bool cross, int cta, int stage, int group,
                                                int run) {
  const int j = cta / kRanks;
  const int r = cta % kRanks;
  const int first = cross ? kQueryStages : kQkvStages;
  if (stage < first) {  // 48-row tiles: [k half][48 positions]
    const int tile = run / 96;
    const int half = run % 96 / 48;
    const int row = kHeadDim * j + tile_row(run % 48);
    const int k16 = (cross ? 8 * group : 0) + 4 * stage + tile;
    return {cross ? Matrix::kQuery : static_cast<Matrix>(group), row,
            kSlice * r + 16 * k16 + 8 * half};
  }
  const int tile = run / 128;  // 64-row tiles: [k half][64 positions]
  const int half = run % 128 / 64;
  const int row = 64 * group + tile_row(run % 64);
  stage -= first;
  if (stage < kOutStages) {
    return {Matrix::kOut, kGroupRows * (cta % kDownGroups) + row,
            kOutSlice * (cta / kDownGroups) + 16 * (3 * stage + tile) + 8 * half};
  }
  stage -= kOutStages;
  const int column = 16 * (3 * (stage % kFeedForwardStages) + tile) + 8 * half;
  if (stage < kFeedForwardStages) {
    return {Matrix::kUp, kGroupRows * j + row, kSlice * r + column};
  }
  return {Matrix::kDown, kGroupRows * (cta % kDownGroups) + row,
          kSlice * (cta / kDownGroups) + column};
}

// The position in a tile that holds this row: the inverse of tile_row.
SINEW_HOST_DEVICE constexpr int row_position(int row) {
  const int in_tile = row % 16;
  return row - in_tile + in_tile / 2 + (in_tile % 2 == 0 ? 0 : 8);
}

// The 16-byte run of a block's packed weights that holds this run of q, k, v (self) or up: the
// inverse of weight_at.
SINEW_HOST_DEVICE constexpr int64_t run_of(bool cross, const WeightRun& w) {
  constexpr int kShareRuns = kShareBytes / 16;
  const int r = w.column / kSlice;
  const int k16 = w.column % kSlice / 16;
  const int half = w.column % 16 / 8;
  int j = 0;
  int stage = 0;
  int group = 0;
  int run = 0;
  if (w.matrix == Matrix::kUp) {
    j = w.row / kGroupRows;
    group = w.row % kGroupRows / 64;
    stage = (cross ? kQueryStages : kQkvStages) + kOutStages + k16 / 3;
    run = k16 % 3 * 128 + half * 64 + row_position(w.row % 64);
  } else {
    j = w.row / kHeadDim;
    group = cross ? k16 / 8 : static_cast<int>(w.matrix);
    stage = (cross ? k16 % 8 : k16) / 4;
    run = k16 % 4 * 96 + half * 48 + row_position(w.row % kHeadDim);
  }
  const int64_t in_cta = (static_cast<int64_t>(stage) * 3 + group) * kShareRuns + run;
  return (static_cast<int64_t>(j) * kRanks + r) * block_stages(cross) * (kStageBytes / 16) + in_cta;
}

// Exchange buffers; what has two copies alternates between blocks. `tiles` = 8-token tiles of the
// kernel.
struct Workspace {
  size_t qkv;           // fp16 [group][rank][3][tokens][48]
  size_t out;           // fp16 [cta][slice][tokens/4][48]
  size_t up;            // fp16 [cta][rank][tokens/4][192]
  size_t down;          // fp16 [cta][slice][tokens/4][48]
  size_t x_attend;      // bf16 [2][quarter][tokens][384]
  size_t attended;      // bf16 [2][slice][tokens][96]
  size_t x_feed;        // bf16 [2][quarter][tokens][384], input of `up`
  size_t hidden;        // bf16 [2][slice][tokens][384]
  size_t stats_attend;  // f32 [2][tokens][group] (mean, sum of squared deviations)
  size_t stats_feed;
  size_t bytes;
};

SINEW_HOST_DEVICE constexpr Workspace workspace(int tiles) {
  const size_t tokens = 8 * static_cast<size_t>(tiles);
  Workspace w{};
  size_t at = 0;
  w.qkv = at, at += size_t{kHeads} * kRanks * 3 * tokens * kHeadDim * 2;
  w.out = at, at += size_t{kCtas} * kDownSlices * (tokens / 4) * kHeadDim * 2;
  w.up = at, at += size_t{kCtas} * kRanks * (tokens / 4) * kGroupRows * 2;
  w.down = at, at += size_t{kCtas} * kDownSlices * (tokens / 4) * kHeadDim * 2;
  w.x_attend = at, at += 2 * tokens * kWidth * 2;
  w.attended = at, at += 2 * tokens * kWidth * 2;
  w.x_feed = at, at += 2 * tokens * kWidth * 2;
  w.hidden = at, at += 2 * tokens * kHidden * 2;
  w.stats_attend = at, at += 2 * tokens * kHeads * 8;
  w.stats_feed = at, at += 2 * tokens * kHeads * 8;
  w.bytes = at;
  return w;
}

SINEW_HOST_DEVICE constexpr int token_tiles(int tokens) {
  return tokens <= kSmallTokens ? 3 : 7;
}

// Stages of the ring in shared memory: what there is room for.
SINEW_HOST_DEVICE constexpr int ring_stages(int tiles) {
  return tiles == 3 ? 11 : 9;
}

// Keys of a context at most: a CTA frees its stages when all of them have been read, so they must
// fit the ring, beside stages of weights on both sides.
constexpr int most_context_tokens(int tokens) {
  return (ring_stages(token_tiles(tokens)) - 2) * kStageChunks * kChunkKeys;
}

}  // namespace sinew::cuda::dit
