// Times true-size transformer blocks of GR00T N1.6 with made-up weights on the CPU backend, through
// the same session as a policy: what bench/baselines/compare.py holds against PyTorch.
// A chain has as many distinct blocks as it takes for weights not to stay in a cache, as in the
// real network. Sizes are those of bench/baselines/workloads.py.
#include "base/check.h"
#include "base/float16.h"
#include "base/philox.h"
#include "cli/exit_code.h"
#include "engine/backend.h"
#include "engine/processors.h"
#include "engine/session.h"
#include "engine/weight_source.h"
#include "io/json.h"
#include "model/blocks/cross_context.h"
#include "model/blocks/dit_block.h"
#include "model/blocks/lm_block.h"
#include "model/blocks/vit_block.h"
#include "ops/builder.h"
#include "tensor/buffer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew {
namespace {

using ops::Builder;
using ops::Value;

constexpr float kVitEpsilon = 1e-6F;
constexpr float kLmEpsilon = 1e-6F;
constexpr float kDitEpsilon = 1e-5F;

struct Options {
  std::string case_name = "dit";
  std::string dtype = "fp32";
  int64_t threads = 0;
  int64_t iterations = 20;
  int64_t warmup = 3;
  bool json = false;
};

// One chain: how to record it, and what one run of it costs.
struct Chain {
  ops::Plan (*record)() = nullptr;
  int64_t blocks = 0;
};

// Recording weights of one block by short names.
struct Weights {
  Builder& b;
  int64_t block;

  Value operator()(std::string_view name, const Shape& shape) const {
    return b.weight(fmt::format("block{}.{}", block, name), shape);
  }
};

constexpr int64_t kDitBlocks = 16;
constexpr int64_t kDitTokens = 17;  // one of the state, 16 of actions
constexpr int64_t kDitWidth = 1536;
constexpr int64_t kDitHeads = 32;
constexpr int64_t kDitFfn = 6144;
constexpr int64_t kContextWidth = 2048;
constexpr int64_t kTextTokens = 42;
constexpr int64_t kImageTokens = 180;

constexpr int64_t kVisionLayers = 4;
constexpr int64_t kViews = 2;
constexpr int64_t kPatches = 360;
constexpr int64_t kVisionWidth = 1152;
constexpr int64_t kVisionHeads = 16;
constexpr int64_t kVisionFfn = 4304;

constexpr int64_t kLanguageLayers = 4;
constexpr int64_t kLanguageWidth = 2048;
constexpr int64_t kLanguageHeads = 16;
constexpr int64_t kLanguageKvHeads = 8;
constexpr int64_t kLanguageHeadDim = 128;
constexpr int64_t kLanguageFfn = 6144;
constexpr double kRopeTheta = 1e6;

model::DitBlockWeights dit_weights(const Weights& w, bool is_cross) {
  const int64_t d = kDitWidth;
  const int64_t keys = is_cross ? kContextWidth : d;
  return {.q_w = w("q_w", {d, d}),
          .q_b = w("q_b", {d}),
          .k_w = w("k_w", {d, keys}),
          .k_b = w("k_b", {d}),
          .v_w = w("v_w", {d, keys}),
          .v_b = w("v_b", {d}),
          .out_w = w("out_w", {d, d}),
          .out_b = w("out_b", {d}),
          .up_w = w("up_w", {kDitFfn, d}),
          .up_b = w("up_b", {kDitFfn}),
          .down_w = w("down_w", {d, kDitFfn}),
          .down_b = w("down_b", {d})};
}

// Text cross, self, image cross, self, and again. Keys and values of the context and the modulation
// are computed before the clock starts: in the network, once an observation and once at load.
ops::Plan record_dit() {
  Builder b;
  Value x = b.real_input("x", {kDitTokens, kDitWidth});
  const Value text = b.weight("context.text", {kTextTokens, kContextWidth});
  const Value image = b.weight("context.image", {kImageTokens, kContextWidth});
  b.stage("blocks", [&] {
    for (int64_t i = 0; i < kDitBlocks; ++i) {
      const Weights weights{b, i};
      const bool is_cross = i % 2 == 0;
      const model::DitBlockWeights w = dit_weights(weights, is_cross);
      const auto modulation = b.once([&] {
        return model::Modulation{.scale = b.silu(weights("scale", {kDitWidth})),
                                 .shift = b.silu(weights("shift", {kDitWidth}))};
      });
      model::KeyValue context;
      if (is_cross) {
        context = b.once([&] {
          return model::cross_context(b, {.rows = i % 4 == 0 ? text : image, .blocks = {&w}})
              .front();
        });
      }
      x = model::dit_block(b, {.x = x,
                               .modulation = modulation,
                               .context = context,
                               .w = w,
                               .heads = kDitHeads,
                               .epsilon = kDitEpsilon});
    }
    return x;
  });
  b.output(x);
  return b.take();
}

model::VitBlockWeights vit_weights(const Weights& w) {
  const int64_t d = kVisionWidth;
  return {.norm1_w = w("norm1_w", {d}),
          .norm1_b = w("norm1_b", {d}),
          .q_w = w("q_w", {d, d}),
          .q_b = w("q_b", {d}),
          .k_w = w("k_w", {d, d}),
          .k_b = w("k_b", {d}),
          .v_w = w("v_w", {d, d}),
          .v_b = w("v_b", {d}),
          .out_w = w("out_w", {d, d}),
          .out_b = w("out_b", {d}),
          .norm2_w = w("norm2_w", {d}),
          .norm2_b = w("norm2_b", {d}),
          .up_w = w("up_w", {kVisionFfn, d}),
          .up_b = w("up_b", {kVisionFfn}),
          .down_w = w("down_w", {d, kVisionFfn}),
          .down_b = w("down_b", {d})};
}

ops::Plan record_vision() {
  Builder b;
  Value x = b.real_input("x", {kViews * kPatches, kVisionWidth});
  b.stage("blocks", [&] {
    for (int64_t i = 0; i < kVisionLayers; ++i) {
      x = model::vit_block(b, {.x = x,
                               .w = vit_weights({b, i}),
                               .images = kViews,
                               .heads = kVisionHeads,
                               .epsilon = kVitEpsilon});
    }
    return x;
  });
  b.output(x);
  return b.take();
}

model::LmBlockWeights lm_weights(const Weights& w) {
  const int64_t d = kLanguageWidth;
  const int64_t e = kLanguageHeadDim;
  return {.input_norm = w("input_norm", {d}),
          .q_w = w("q_w", {kLanguageHeads * e, d}),
          .k_w = w("k_w", {kLanguageKvHeads * e, d}),
          .v_w = w("v_w", {kLanguageKvHeads * e, d}),
          .q_norm = w("q_norm", {e}),
          .k_norm = w("k_norm", {e}),
          .out_w = w("out_w", {d, kLanguageHeads * e}),
          .post_norm = w("post_norm", {d}),
          .gate_w = w("gate_w", {kLanguageFfn, d}),
          .up_w = w("up_w", {kLanguageFfn, d}),
          .down_w = w("down_w", {d, kLanguageFfn})};
}

ops::Plan record_language() {
  Builder b;
  const int64_t tokens = kTextTokens + kImageTokens;
  Value x = b.real_input("x", {tokens, kLanguageWidth});
  b.stage("blocks", [&] {
    const auto [cos, sin] = b.once([&] {
      return b.rope_table({.theta = kRopeTheta, .head_dim = kLanguageHeadDim, .positions = tokens});
    });
    for (int64_t i = 0; i < kLanguageLayers; ++i) {
      x = model::lm_block(b, {.x = x,
                              .cos = cos,
                              .sin = sin,
                              .w = lm_weights({b, i}),
                              .heads = kLanguageHeads,
                              .kv_heads = kLanguageKvHeads,
                              .epsilon = kLmEpsilon});
    }
    return x;
  });
  b.output(x);
  return b.take();
}

std::optional<Chain> find_chain(std::string_view name) {
  if (name == "dit") {
    return Chain{record_dit, kDitBlocks};
  }
  if (name == "vision") {
    return Chain{record_vision, kVisionLayers};
  }
  if (name == "language") {
    return Chain{record_language, kLanguageLayers};
  }
  return std::nullopt;
}

// Made-up bf16 parameters for every weight of a plan: matrices uniform in +-0.02, vectors ("norm")
// around 1, so that a chain stays finite.
class MadeUpWeights final : public engine::WeightSource {
 public:
  static Result<MadeUpWeights> make(const ops::Plan& plan) {
    MadeUpWeights weights;
    uint32_t stream = 0;
    for (const ops::ValueInfo& info : plan.values) {
      if (info.kind != ops::ValueKind::kWeight) {
        continue;
      }
      const auto count = static_cast<size_t>(info.shape.elements());
      SINEW_ASSIGN(Buffer memory, Buffer::allocate(count * sizeof(Bf16)));
      fill({reinterpret_cast<Bf16*>(memory.data()), count}, ++stream,
           info.shape.rank() == 1 && info.name.find("norm") != std::string::npos ? 1.0F : 0.0F);
      weights.shapes_.emplace(info.name, info.shape);
      weights.memory_.emplace(info.name, std::move(memory));
    }
    return weights;
  }

  ConstTensorView weight(std::string_view name) const override {
    const auto found = memory_.find(name);
    SINEW_CHECK(found != memory_.end());
    return {found->second.data(), DType::kBf16, shapes_.find(name)->second};
  }

  void release(const ConstTensorView& /*view*/) const override {}  // there is no file behind it

 private:
  static void fill(std::span<Bf16> values, uint32_t stream, float centre) {
    constexpr float kStep = 0.04F / 65536.0F;
    for (size_t i = 0; i < values.size(); i += 8) {
      const auto words = philox4x32({static_cast<uint32_t>(i), stream, 0, 0}, {0, 0});
      for (size_t j = 0; j < std::min<size_t>(8, values.size() - i); ++j) {
        const uint32_t half = (words[j / 2] >> (16 * (j % 2))) & 0xffffU;
        values[i + j] = to_bf16(centre + kStep * (static_cast<float>(half) - 32767.5F));
      }
    }
  }

  std::map<std::string, Buffer, std::less<>> memory_;
  std::map<std::string, Shape, std::less<>> shapes_;
};

double process_cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// Of each run, ms a block.
struct Times {
  std::vector<double> wall_ms, cpu_ms;  // CPU time of all threads together
};

Result<Times> time_runs(engine::Executable& chain, int64_t blocks, const Options& options) {
  Times times;
  const auto per_block = 1.0 / static_cast<double>(blocks);
  for (int64_t i = 0; i < options.warmup + options.iterations; ++i) {
    const double cpu_before = process_cpu_ms();
    const auto before = std::chrono::steady_clock::now();
    SINEW_TRY(chain.run(/*times_stages=*/false));
    const std::chrono::duration<double, std::milli> wall =
        std::chrono::steady_clock::now() - before;
    if (i >= options.warmup) {
      times.wall_ms.push_back(wall.count() * per_block);
      times.cpu_ms.push_back((process_cpu_ms() - cpu_before) * per_block);
    }
  }
  return times;
}

// With linear interpolation between neighbours, as NumPy's.
double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, values.size() - 1);
  return std::lerp(values[low], values[high], at - static_cast<double>(low));
}

// A chain that has lost its values would be timed on something else than what it stands for.
Status check_finite(const TensorView& output) {
  const auto values = output.as<float>();
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    return {Code::kInternal, "the chain's output is not finite; nothing was measured"};
  }
  return {};
}

void print(const Options& options, int threads, int64_t blocks, const Times& times) {
  const double median = quantile(times.wall_ms, 0.5);
  const double p90 = quantile(times.wall_ms, 0.9);
  const double least = quantile(times.wall_ms, 0.0);
  const double cpu = quantile(times.cpu_ms, 0.5);
  if (options.json) {
    const io::Json document{{"case", options.case_name},
                            {"dtype", options.dtype},
                            {"threads", threads},
                            {"blocks", blocks},
                            {"iterations", times.wall_ms.size()},
                            {"median_ms", median},
                            {"p90_ms", p90},
                            {"min_ms", least},
                            {"cpu_median_ms", cpu},
                            {"wall_ms", times.wall_ms},
                            {"cpu_ms", times.cpu_ms}};
    fmt::print("{}\n", document.dump());
    return;
  }
  fmt::print("{} {} threads {}: median {:.3f} ms a block, P90 {:.3f}, min {:.3f}, CPU {:.3f}\n",
             options.case_name, options.dtype, threads, median, p90, least, cpu);
}

Status run(const Options& options) {
  const std::optional<Chain> chain = find_chain(options.case_name);
  if (!chain) {
    return {Code::kUsage, fmt::format("--case: expected dit, vision or language, found \"{}\"",
                                      options.case_name)};
  }
  const auto precision = ops::precision_from_name(options.dtype);
  if (!precision) {
    return {Code::kUsage,
            fmt::format("--dtype: expected fp32 or bf16, found \"{}\"", options.dtype)};
  }
  std::string note;
  const int threads =
      engine::resolve_threads(static_cast<int>(options.threads), engine::processors(), note);
  SINEW_ASSIGN(const MadeUpWeights weights, MadeUpWeights::make(chain->record()));
  engine::Session session(engine::make_cpu_backend(threads), weights,
                          [&](const engine::PlanKey&) { return chain->record(); },
                          {.precision = *precision});
  SINEW_ASSIGN(engine::Executable * executable, session.prepare({}));
  const auto x = executable->input("x").as<float>();
  normal_noise(0, 0, x);
  SINEW_ASSIGN(const Times times, time_runs(*executable, chain->blocks, options));
  SINEW_TRY(check_finite(executable->output(0)));
  print(options, threads, chain->blocks, times);
  return {};
}

Result<int64_t> parse_count(std::string_view flag, std::string_view text, int64_t least) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least ||
      value > 1'000'000) {
    return Status(Code::kUsage, fmt::format("{}: expected an integer from {} to 1000000, found "
                                            "\"{}\"",
                                            flag, least, text));
  }
  return value;
}

Result<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& flag = arguments[i];
    if (flag == "--json") {
      options.json = true;
      continue;
    }
    if (i + 1 == arguments.size()) {
      return Status(Code::kUsage, fmt::format("{}: a value is missing, or no such flag", flag));
    }
    const std::string& value = arguments[++i];
    if (flag == "--case") {
      options.case_name = value;
    } else if (flag == "--dtype") {
      options.dtype = value;
    } else if (flag == "--threads") {
      SINEW_ASSIGN(options.threads, parse_count(flag, value, 0));
    } else if (flag == "--iterations") {
      SINEW_ASSIGN(options.iterations, parse_count(flag, value, 1));
    } else if (flag == "--warmup") {
      SINEW_ASSIGN(options.warmup, parse_count(flag, value, 0));
    } else {
      return Status(Code::kUsage,
                    fmt::format("{}: no such flag; there are --case, --dtype, --threads, "
                                "--iterations, --warmup, --json",
                                flag));
    }
  }
  return options;
}

}  // namespace
}  // namespace sinew

int main(int argc, char** argv) {
  const auto options = sinew::parse({argv + 1, argv + argc});
  const sinew::Status status = options.ok() ? sinew::run(options.value()) : sinew::Status();
  const sinew::Status& problem = options.ok() ? status : options.status();
  if (!problem.ok()) {
    fmt::print(stderr, "{}\n", problem.message());
    return static_cast<int>(sinew::cli::exit_code(problem.code()));
  }
  return 0;
}
