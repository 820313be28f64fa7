// Blocks of vision and language as plans: which devices, precisions and shapes take them whole (no
// GPU is needed to ask), and on a GPU the result against the CPU in f32.
#include "engine_cuda/plans.h"
#include "kernels/cuda/kernel.h"
#include "model/blocks/action_tokens.h"
#include "model/blocks/action_update.h"
#include "model/blocks/cross_context.h"
#include "model/blocks/dit_stack.h"
#include "model/blocks/lm_block.h"
#include "model/blocks/patch_embedding.h"
#include "model/blocks/vision_projector.h"
#include "model/blocks/vit_stack.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace sinew::engine {
namespace {

using ops::Builder;
using ops::Value;

// Parameters of any name, made up from it: norms around 1, matrices that keep a row's length.
class MadeUpWeights final : public WeightSource {
 public:
  explicit MadeUpWeights(const ops::Plan& plan) {
    for (const ops::ValueInfo& info : plan.values) {
      if (info.kind != ops::ValueKind::kWeight) {
        continue;
      }
      const bool is_norm = info.name.find("norm") != std::string::npos;
      const bool is_matrix = info.shape.rank() == 2;
      const float scale = is_matrix ? 1 / std::sqrt(static_cast<float>(info.shape[1])) : 0.1F;
      std::mt19937 engine(static_cast<uint32_t>(std::hash<std::string>{}(info.name)));
      std::normal_distribution<float> normal(is_norm ? 1.0F : 0.0F, scale);
      std::vector<Bf16> values(static_cast<size_t>(info.shape.elements()));
      std::generate(values.begin(), values.end(), [&] { return to_bf16(normal(engine)); });
      values_[info.name] = std::move(values);
      shapes_[info.name] = info.shape;
    }
  }

  ConstTensorView weight(std::string_view name) const override {
    const std::string key(name);
    return {values_.at(key).data(), DType::kBf16, shapes_.at(key)};
  }

  void release(const ConstTensorView& /*view*/) const override {}

 private:
  std::map<std::string, std::vector<Bf16>> values_;
  std::map<std::string, Shape> shapes_;
};

ops::Plan record_vision(int64_t heads, int64_t images = 2) {
  constexpr int64_t kWidth = 288;
  constexpr int64_t kFfn = 528;
  Builder b;
  const Value x = b.real_input("x", {images * 90, kWidth});
  std::vector<model::VitBlockWeights> weights;
  for (int i = 0; i < 3; ++i) {
    const auto vector = [&](const char* name, int64_t n) {
      return b.weight(fmt::format("{}.{}", name, i), {n});
    };
    const auto matrix = [&](const char* name, int64_t n, int64_t k) {
      return b.weight(fmt::format("{}.{}", name, i), {n, k});
    };
    weights.push_back({.norm1_w = vector("norm1", kWidth),
                       .norm1_b = vector("shift1", kWidth),
                       .q_w = matrix("q", kWidth, kWidth),
                       .q_b = vector("qb", kWidth),
                       .k_w = matrix("k", kWidth, kWidth),
                       .k_b = vector("kb", kWidth),
                       .v_w = matrix("v", kWidth, kWidth),
                       .v_b = vector("vb", kWidth),
                       .out_w = matrix("out", kWidth, kWidth),
                       .out_b = vector("outb", kWidth),
                       .norm2_w = vector("norm2", kWidth),
                       .norm2_b = vector("shift2", kWidth),
                       .up_w = matrix("up", kFfn, kWidth),
                       .up_b = vector("upb", kFfn),
                       .down_w = matrix("down", kWidth, kFfn),
                       .down_b = vector("downb", kWidth)});
  }
  b.stage("vision", [&] {
    const Value y = model::vit_stack(
        b, {.x = x, .w = weights, .images = images, .heads = heads, .epsilon = 1e-6F},
        [&](size_t i, Value rows) { b.site(fmt::format("layer{}", i), rows); });
    b.output(y);
    return y;
  });
  return b.take();
}

ops::Plan record_language() {
  constexpr int64_t kTokens = 111;
  constexpr int64_t kWidth = 256;
  constexpr int64_t kFfn = 544;
  Builder b;
  const Value x = b.real_input("x", {kTokens, kWidth});
  const auto [cos, sin] = b.once([&] {
    return b.rope_table({.theta = 1e6, .head_dim = 128, .positions = kTokens, .first_position = 0});
  });
  const model::LmBlock block{.x = x,
                             .cos = cos,
                             .sin = sin,
                             .w = {.input_norm = b.weight("norm1", {kWidth}),
                                   .q_w = b.weight("q", {512, kWidth}),
                                   .k_w = b.weight("k", {256, kWidth}),
                                   .v_w = b.weight("v", {256, kWidth}),
                                   .q_norm = b.weight("qnorm", {128}),
                                   .k_norm = b.weight("knorm", {128}),
                                   .out_w = b.weight("out", {kWidth, 512}),
                                   .post_norm = b.weight("norm2", {kWidth}),
                                   .gate_w = b.weight("gate", {kFfn, kWidth}),
                                   .up_w = b.weight("up", {kFfn, kWidth}),
                                   .down_w = b.weight("down", {kWidth, kFfn})},
                             .heads = 4,
                             .kv_heads = 2,
                             .epsilon = 1e-6F};
  b.stage("language", [&] {
    const Value y = model::lm_block(b, block);
    b.output(y);
    return y;
  });
  return b.take();
}

// Two denoising steps over the same context, of the only width that the stack's kernel is made for.
ops::Plan record_diffusion(int64_t tokens, int64_t width, int64_t context_rows = 111) {
  constexpr int64_t kBlocks = 4;
  Builder b;
  const Value x = b.real_input("x", {tokens, width});
  const Value context = b.real_input("context", {context_rows, 256});
  std::vector<model::DitBlockWeights> weights;
  std::vector<model::KeyValue> key_values;
  for (int64_t i = 0; i < kBlocks; ++i) {
    const auto vector = [&](const char* name, int64_t n) {
      return b.weight(fmt::format("{}{}", name, i), {n});
    };
    const auto matrix = [&](const char* name, int64_t n, int64_t k) {
      return b.weight(fmt::format("{}{}", name, i), {n, k});
    };
    const int64_t from = i % 2 == 0 ? 256 : width;
    weights.push_back({.q_w = matrix("q", width, width),
                       .q_b = vector("qb", width),
                       .k_w = matrix("k", width, from),
                       .k_b = vector("kb", width),
                       .v_w = matrix("v", width, from),
                       .v_b = vector("vb", width),
                       .out_w = matrix("out", width, width),
                       .out_b = vector("outb", width),
                       .up_w = matrix("up", 4 * width, width),
                       .up_b = vector("upb", 4 * width),
                       .down_w = matrix("down", width, 4 * width),
                       .down_b = vector("downb", width)});
    key_values.push_back(b.stage("action", [&] {
      return i % 2 == 0
                 ? model::cross_context(b, {.rows = context, .blocks = {&weights.back()}}).front()
                 : model::KeyValue{};
    }));
  }
  Value y = x;
  for (int step = 0; step < 2; ++step) {
    const auto modulations = b.once([&] {
      std::vector<model::Modulation> made;
      for (int64_t i = 0; i < kBlocks; ++i) {
        const auto half = [&](const char* name) {
          const Value time = b.time_sinusoid(
              {.form = ops::SinusoidForm::kCosSinInclusive, .time = 250 * step, .half = 8});
          return b.reshape(b.linear(time, b.weight(fmt::format("{}{}", name, i), {width, 16}), {}),
                           {width});
        };
        made.push_back({.scale = half("scale"), .shift = half("shift")});
      }
      return made;
    });
    y = b.stage(fmt::format("denoise{}", step), [&] {
      return model::dit_stack(
          b,
          {.x = y,
           .modulations = modulations,
           .context = key_values,
           .w = weights,
           .heads = width / 48,
           .epsilon = 1e-5F},
          [&](size_t i, Value rows) { b.site(fmt::format("step{}.block{}", step, i), rows); });
    });
  }
  b.output(y);
  return b.take();
}

ops::Plan record_patches(int64_t views, int64_t patch) {
  constexpr int64_t kRows = 5;
  constexpr int64_t kColumns = 6;
  constexpr int64_t kWidth = 288;
  Builder b;
  const Value frames = b.frame_input("frames", {views, kRows * patch, kColumns * patch, 3});
  const Value positions = b.once([&] {
    return b.resize_positions(b.weight("table", {16, kWidth}), kRows, kColumns);
  });
  b.output(b.stage("vision", [&] {
    return model::patch_embedding(b,
                                  {.frames = frames,
                                   .w = b.weight("w", {kWidth, 3 * patch * patch}),
                                   .b = b.weight("b", {kWidth}),
                                   .positions = positions,
                                   .patch = patch},
                                  [](Value) {});
  }));
  return b.take();
}

// Of the true size: the tokens of one image.
ops::Plan record_projector() {
  constexpr int64_t kWidth = 1152;
  constexpr int64_t kTokens = 2048;
  Builder b;
  const Value x = b.real_input("x", {18 * 20, kWidth});
  b.output(b.stage("vision", [&] {
    return model::vision_projector(b, {.x = x,
                                       .w = {.norm_w = b.weight("norm", {4 * kWidth}),
                                             .norm_b = b.weight("shift", {4 * kWidth}),
                                             .up_w = b.weight("up", {kTokens, 4 * kWidth}),
                                             .up_b = b.weight("upb", {kTokens}),
                                             .out_w = b.weight("out", {kTokens, kTokens}),
                                             .out_b = b.weight("outb", {kTokens})},
                                       .rows = 18,
                                       .columns = 20,
                                       .epsilon = 1e-5F});
  }));
  return b.take();
}

// Keys and values of eight blocks over text rows, of the true size, read by attention.
ops::Plan record_context() {
  constexpr int64_t kWidth = 1536;
  constexpr int64_t kFrom = 2048;
  Builder b;
  const Value queries = b.real_input("queries", {3, kWidth});
  const Value rows = b.real_input("rows", {42, kFrom});
  std::vector<model::DitBlockWeights> weights(8);
  model::CrossContext context{.rows = {}, .blocks = {}};
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto name = [&](const char* kind) { return fmt::format("{}{}", kind, i); };
    weights[i].k_w = b.weight(name("k"), {kWidth, kFrom});
    weights[i].k_b = b.weight(name("kb"), {kWidth});
    weights[i].v_w = b.weight(name("v"), {kWidth, kFrom});
    weights[i].v_b = b.weight(name("vb"), {kWidth});
    context.blocks.push_back(&weights[i]);
  }
  b.stage("action", [&] {
    context.rows = b.layer_norm(rows, {}, {}, 1e-5F);  // stored in bf16, as products read it
    for (const model::KeyValue& kv : model::cross_context(b, context)) {
      b.output(b.attention(queries, kv.k, kv.v, {.heads = 32, .kv_heads = 32, .scale = 0.14F}));
    }
    return 0;
  });
  return b.take();
}

// The small layers around the diffusion transformer, without it.
ops::Plan record_action(int64_t horizon) {
  constexpr int64_t kWidth = 416;
  constexpr int64_t kActions = 96;
  constexpr int64_t kHidden = 1024;
  Builder b;
  const Value actions = b.real_input("actions", {horizon, kActions});
  const Value state = b.real_input("state", {2, kActions});
  const auto mlp = [&](const std::string& name, int64_t in, int64_t out) {
    return model::EmbodimentMlpWeights{.hidden_w = b.weight(name + "1", {in, kHidden}),
                                       .hidden_b = b.weight(name + "1b", {kHidden}),
                                       .out_w = b.weight(name + "2", {kHidden, out}),
                                       .out_b = b.weight(name + "2b", {out})};
  };
  const model::ActionEncoderWeights encoder{.in_w = b.weight("in", {kActions, kWidth}),
                                            .in_b = b.weight("inb", {kWidth}),
                                            .mix_w = b.weight("mix", {2 * kWidth, kWidth}),
                                            .mix_b = b.weight("mixb", {kWidth}),
                                            .out_w = b.weight("out", {kWidth, kWidth}),
                                            .out_b = b.weight("outb", {kWidth})};
  const auto [tau, modulation] = b.once([&] {
    const Value time = b.time_sinusoid(
        {.form = ops::SinusoidForm::kCosSinInclusive, .time = 250, .half = kWidth / 2});
    const auto vector = [&](const char* name) {
      return b.reshape(b.linear(time, b.weight(name, {kWidth, kWidth}), {}), {kWidth});
    };
    return std::pair(model::action_time(b, encoder, 250),
                     model::Modulation{.scale = vector("scale"), .shift = vector("shift")});
  });
  b.output(b.stage("denoise0", [&, tau = tau, modulation = modulation] {
    const Value features =
        model::embodiment_mlp(b, {.x = state, .w = mlp("state", kActions, kWidth)});
    const Value x = model::action_tokens(
        b,
        {.encoder = {.x = actions, .tau_mix = tau, .w = encoder},
         .positions = b.slice_rows(b.weight("positions", {64, kWidth}), 0, horizon),
         .state = features},
        [](Value) {});
    return model::action_update(
        b,
        {.x = x,
         .modulation = modulation,
         .proj_w = b.weight("proj", {kHidden, kWidth}),
         .proj_b = b.weight("projb", {kHidden}),
         .decoder = mlp("decoder", kHidden, kActions),
         .actions = actions,
         .epsilon = 1e-6F,
         .dt = 0.5F},
        [](Value) {}, [](Value) {});
  }));
  return b.take();
}

// The lowerings that a device of this compute capability would run.
std::vector<std::string> lowerings(ops::Plan plan, ops::Precision precision, int compute_capability,
                                   bool keep_sites = false) {
  std::vector<ops::LeafRow> leaves;
  for (const cuda::CudaRow& row : cuda::cuda_rows()) {
    leaves.push_back(row.row);
  }
  std::vector<ops::CompositeRow> composites;
  for (const cuda::CudaCompositeRow& row : cuda::cuda_composite_rows()) {
    composites.push_back(row.row);
  }
  ops::fold_once(plan);
  EXPECT_TRUE(ops::assign_precision(plan, precision).ok());
  const Status selected = ops::select(plan, leaves, composites,
                                      {.compute_capability = compute_capability,
                                       .multiprocessors = 132,
                                       .block_shared_bytes = 232448,
                                       .l2_bytes = 1 << 20,
                                       .has_own_code = true},
                                      keep_sites);
  EXPECT_TRUE(selected.ok()) << selected.message();
  std::vector<std::string> names;
  for (const ops::Call& call : plan.calls) {
    names.push_back(call.lowering);
  }
  return names;
}

TEST(FusedBlocks, AreTakenWholeInBf16) {
  for (const int capability : {87, 90, 120}) {
    EXPECT_THAT(lowerings(record_vision(4), ops::Precision::kBf16, capability),
                testing::ElementsAre("cuda:vit_stack"));
    EXPECT_THAT(lowerings(record_vision(4), ops::Precision::kBf16, capability,
                          /*keep_sites=*/true),
                testing::ElementsAre("cuda:vit_block", "cuda:vit_block", "cuda:vit_block"));
    EXPECT_THAT(lowerings(record_language(), ops::Precision::kBf16, capability),
                testing::ElementsAre("cuda:lm_block"));
  }
}

TEST(FusedBlocks, AreTakenApartWhereTheKernelsDoNotFit) {
  const auto has_block = testing::AnyOf("cuda:vit_stack", "cuda:vit_block", "cuda:lm_block");
  EXPECT_THAT(lowerings(record_vision(4), ops::Precision::kFp32, 90),
              testing::Not(testing::Contains(has_block)));
  EXPECT_THAT(lowerings(record_vision(4), ops::Precision::kBf16, 75),
              testing::Not(testing::Contains(has_block)));
  EXPECT_THAT(lowerings(record_vision(3), ops::Precision::kBf16, 90),
              testing::Not(testing::Contains(has_block)))
      << "heads of 96";
}

TEST(FusedBlocks, KeysAndValuesOfAllBlocksAreOneProductWhereItWasMeasured) {
  EXPECT_EQ(lowerings(record_context(), ops::Precision::kBf16, 90)[1], "cuda:cross_context");
  EXPECT_EQ(lowerings(record_context(), ops::Precision::kBf16, 89)[1], "cuda:linear");
}

TEST(FusedBlocks, ThePatchEmbeddingIsTakenWhole) {
  for (const int capability : {87, 90, 120}) {
    EXPECT_THAT(lowerings(record_patches(2, 14), ops::Precision::kBf16, capability),
                testing::ElementsAre("cuda:patch_embedding"));
  }
  EXPECT_EQ(lowerings(record_patches(2, 14), ops::Precision::kFp32, 90).front(),
            "cuda:normalize_frames");
}

TEST(FusedBlocks, TheProjectorIsTakenWholeWhereItWasMeasured) {
  EXPECT_THAT(lowerings(record_projector(), ops::Precision::kBf16, 90),
              testing::ElementsAre("cuda:vision_projector"));
  EXPECT_EQ(lowerings(record_projector(), ops::Precision::kBf16, 90, /*keep_sites=*/true).front(),
            "cuda:pixel_shuffle");
  EXPECT_EQ(lowerings(record_projector(), ops::Precision::kBf16, 89).front(), "cuda:pixel_shuffle");
}

TEST(FusedBlocks, SmallLayersAreTakenWhole) {
  for (const int capability : {87, 90, 120}) {
    EXPECT_THAT(
        lowerings(record_action(16), ops::Precision::kBf16, capability),
        testing::ElementsAre("cuda:embodiment_mlp", "cuda:action_tokens", "cuda:action_update"));
  }
  EXPECT_THAT(lowerings(record_action(57), ops::Precision::kBf16, 90),
              testing::Not(testing::Contains("cuda:action_tokens")));
  EXPECT_THAT(lowerings(record_action(16), ops::Precision::kFp32, 90),
              testing::Not(testing::Contains("cuda:action_tokens")));
}

TEST(FusedBlocks, ADenoisingStepIsOneCallOnHopper) {
  const auto is_stack = testing::Eq("cuda:dit_stack");
  EXPECT_THAT(lowerings(record_diffusion(17, 1536), ops::Precision::kBf16, 90),
              testing::ElementsAre("cuda:linear", "cuda:linear", "cuda:linear", "cuda:linear",
                                   is_stack, is_stack));
  EXPECT_THAT(lowerings(record_diffusion(17, 1536, 864), ops::Precision::kBf16, 90),
              testing::Contains(is_stack));
  for (const auto& names : {lowerings(record_diffusion(17, 1536), ops::Precision::kBf16, 89),
                            lowerings(record_diffusion(17, 1536), ops::Precision::kFp32, 90),
                            lowerings(record_diffusion(57, 1536), ops::Precision::kBf16, 90),
                            lowerings(record_diffusion(17, 96), ops::Precision::kBf16, 90),
                            lowerings(record_diffusion(17, 1536, 865), ops::Precision::kBf16, 90),
                            lowerings(record_diffusion(51, 1536, 673), ops::Precision::kBf16, 90),
                            lowerings(record_diffusion(17, 1536), ops::Precision::kBf16, 90,
                                      /*keep_sites=*/true)}) {
    EXPECT_THAT(names, testing::Not(testing::Contains(is_stack)));
  }
}

std::vector<float> result_of(ops::Plan plan, const WeightSource& weights, Backend& backend,
                             ops::Precision precision) {
  test::pass(plan, backend, precision);
  auto program = backend.bind(plan, weights);
  EXPECT_TRUE(program.ok()) << program.status().message();
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  for (const Value input : plan.inputs) {
    if (plan.info(input).is_frame) {
      for (uint8_t& level : program.value()->view(input).as<uint8_t>()) {
        level = static_cast<uint8_t>(engine() % 256);
      }
      continue;
    }
    for (float& x : program.value()->view(input).as<float>()) {
      x = normal(engine);
    }
  }
  EXPECT_TRUE(program.value()->run({}).ok());  // the second finds what the first left
  const Status ran = program.value()->run({});
  EXPECT_TRUE(ran.ok()) << ran.message();
  std::vector<float> results;
  for (const Value output : plan.outputs) {
    const auto values = program.value()->view(output).as<float>();
    results.insert(results.end(), values.begin(), values.end());
  }
  return results;
}

TEST(FusedBlocks, GiveTheNumbersOfTheCpu) {
  if (!test::has_gpu()) {
    GTEST_SKIP() << "no GPU: " << cuda_system().problem;
  }
  for (const auto& plan :
       {record_vision(4), record_vision(4, 4), record_language(), record_diffusion(17, 1536),
        record_diffusion(51, 1536), record_context(), record_projector(), record_patches(1, 14),
        record_patches(3, 10), record_action(16), record_action(17), record_action(50)}) {
    const MadeUpWeights weights(plan);  // backends know parameters by their address
    const auto cpu = make_cpu_backend(2);
    const auto gpu = make_cuda_backend({.lowering = LoweringChoice::kFused}).value();
    const std::vector<float> expected = result_of(plan, weights, *cpu, ops::Precision::kFp32);
    const std::vector<float> got = result_of(plan, weights, *gpu, ops::Precision::kBf16);
    ASSERT_EQ(got.size(), expected.size());
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double d = static_cast<double>(got[i]) - static_cast<double>(expected[i]);
      difference += d * d;
      norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
    }
    // Full-size layers: 1.4e-3 and 1.9e-3 (docs/performance.md); a chain in bf16 twice that.
    EXPECT_LT(std::sqrt(difference / norm), 4e-3);
    EXPECT_EQ(got, result_of(plan, weights, *gpu, ops::Precision::kBf16)) << "the same bits again";
  }
}

}  // namespace
}  // namespace sinew::engine
