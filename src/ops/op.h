// The vocabulary: every leaf operation that a model's forward pass is recorded in. Each has a shape
// rule (builder.cpp), a plain-C++ meaning (kernels/cpu) and a test against naive loops in double
// precision.
//
// Shape letters: docs/shapes.md. All tensors are contiguous, row-major; "real" values are f32 or
// what assign_precision gives them, "index" values are i32, "frame" values u8.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

namespace sinew::ops {

enum class OpKind : uint8_t {
  kLinear,     // x [m, k], w [n, k] or [k, n], b [n]? -> [m, n]
  kLayerNorm,  // x [m, d], (w [d], b [d])? -> [m, d]
  kRmsNorm,    // x [m, d], w [d] -> [m, d]
  kAdd,       // x, y -> x + y; y's elements repeat over x (y's shape is a suffix of x's, by element
              // count)
  kMul,       // x * y, the same broadcast
  kModulate,  // x [m, d], scale [d], shift [d] -> x * (1 + scale) + shift
  kGeluTanh,  // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  kGeluErf,   // 0.5 x (1 + erf(x / sqrt 2))
  kSilu,      // x / (1 + exp(-x))
  kRelu,      // max(x, 0)
  kAttention,        // q [t, h*e], k [s, g*e], v [s, g*e] -> [t, h*e]; see AttentionAttributes
  kRope,             // x [t, h*e], cos [t, e/2], sin [t, e/2] -> [t, h*e]; half-split pairs
  kEmbed,            // table [n, d] (a weight, read in its stored type), ids [t] -> [t, d]
  kGatherRows,       // x [m, d], rows [n] -> [n, d]
  kScatterRows,      // x [m, d], rows [n], y [n, d] -> copy of x whose row rows[i] is y[i]
  kConcatRows,       // x [m, d], y [n, d] -> [m + n, d]
  kNormalizeFrames,  // u8 [v, H, W, 3] -> pixels [v, 3, H, W], (level - 127.5) / 127.5
  kPatchify,  // pixels [v, 3, H, W] -> [v*p, 3*patch*patch]; (row, column, channel) inside a patch
  kPixelShuffle,     // x [v*p, d] on a rows x columns grid -> [v*p/4, 4d]; feature 4c + 2i + j
  kEulerStep,        // x, velocity -> x + dt * velocity
  kTimeSinusoid,     // -> [1, 2*half]; see SinusoidAttributes
  kRopeTable,        // -> cos [t, e/2], sin [t, e/2]
  kResizePositions,  // table [side*side, d] -> [rows*columns, d]; antialiased bilinear
};

// Lower-case name of an op ("layer_norm"), as plans and reports print it.
std::string_view op_name(OpKind op);

struct LinearAttributes {
  bool weights_in_out =
      false;  // w is [k, n] (per-embodiment tensors) instead of [n, k] (nn.Linear)

  friend bool operator==(const LinearAttributes&, const LinearAttributes&) = default;
};

struct NormAttributes {
  float epsilon = 0;

  friend bool operator==(const NormAttributes&, const NormAttributes&) = default;
};

// softmax(q k^T * scale) v per head; query head i reads key-value head i / (heads / kv_heads).
// `segments` > 1: queries and keys are that many equal parts, and part i attends to part i alone
// (one image each).
struct AttentionAttributes {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  float scale = 0;
  bool is_causal = false;  // query i sees keys 0..i; needs t == s
  int64_t segments = 1;

  friend bool operator==(const AttentionAttributes&, const AttentionAttributes&) = default;
};

struct RopeAttributes {
  int64_t heads = 0;

  friend bool operator==(const RopeAttributes&, const RopeAttributes&) = default;
};

struct GridAttributes {
  int64_t rows = 0;  // of one image's grid
  int64_t columns = 0;
  int64_t patch = 0;  // pixels a side (kPatchify), or the table's side (kResizePositions)

  friend bool operator==(const GridAttributes&, const GridAttributes&) = default;
};

struct EulerAttributes {
  float dt = 0;

  friend bool operator==(const EulerAttributes&, const EulerAttributes&) = default;
};

// Two different sinusoids of the same integer time t (spec/model.md sections 7.2 and 8.1).
enum class SinusoidForm : uint8_t {
  kSinCosExclusive,  // [sin || cos], frequency 10000^(-i/half): the action encoder's tau
  kCosSinInclusive,  // [cos || sin], frequency 10000^(-i/(half-1)): the DiT's timestep
};

struct SinusoidAttributes {
  SinusoidForm form = SinusoidForm::kSinCosExclusive;
  int64_t time = 0;
  int64_t half = 0;

  friend bool operator==(const SinusoidAttributes&, const SinusoidAttributes&) = default;
};

// How the inverse frequencies are stored before use (spec/model.md section 5.3).
enum class FrequencyRounding : uint8_t { kFp32, kBf16 };

struct RopeTableAttributes {
  double theta = 0;
  int64_t head_dim = 0;
  int64_t positions = 0;       // t
  int64_t first_position = 0;  // pads to the left of the sample in its batch
  FrequencyRounding rounding = FrequencyRounding::kFp32;

  friend bool operator==(const RopeTableAttributes&, const RopeTableAttributes&) = default;
};

using Attributes = std::variant<std::monostate, LinearAttributes, NormAttributes,
                                AttentionAttributes, RopeAttributes, GridAttributes,
                                EulerAttributes, SinusoidAttributes, RopeTableAttributes>;

}  // namespace sinew::ops
