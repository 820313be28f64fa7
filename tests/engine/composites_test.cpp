// Composites that the CPU runs whole give the bits of their steps run one by one, as plans that go
// through all passes: in f32 and bf16, with operands and results of either type.
#include "base/float16.h"
#include "engine/backend.h"
#include "model/blocks/fused_linear.h"
#include "ops/builder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <map>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace sinew::engine {
namespace {

using ops::Builder;
using ops::Value;

// Parameters of any name, made up from it.
class MadeUpWeights final : public WeightSource {
 public:
  explicit MadeUpWeights(const ops::Plan& plan) {
    for (const ops::ValueInfo& info : plan.values) {
      if (info.kind == ops::ValueKind::kWeight) {
        std::mt19937 engine(static_cast<uint32_t>(std::hash<std::string>{}(info.name)));
        std::normal_distribution<float> normal(0.0F, 0.2F);
        std::vector<Bf16> values(static_cast<size_t>(info.shape.elements()));
        std::generate(values.begin(), values.end(), [&] { return to_bf16(normal(engine)); });
        values_[info.name] = std::move(values);
        shapes_[info.name] = info.shape;
      }
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

struct Extents {
  int64_t rows = 0;
  int64_t inputs = 0;
  int64_t outputs = 0;
};

// A network of one composite.
struct Network {
  std::string name;
  std::string composite;
  std::function<Value(Builder& b, Value x, const Extents& e)> record;

  friend std::ostream& operator<<(std::ostream& out, const Network& network) {
    return out << network.name;
  }
};

std::vector<Network> networks() {
  std::vector<Network> out;
  using model::Activation;
  for (const auto& [name, activation] : {std::pair{"gelu_tanh", Activation::kGeluTanh},
                                         {"gelu_erf", Activation::kGeluErf},
                                         {"relu", Activation::kRelu}}) {
    for (const bool in_out : {false, true}) {
      out.push_back(
          {fmt::format("{}{}", name, in_out ? "_in_out" : ""), "linear_activation",
           [activation, in_out](Builder& b, Value x, const Extents& e) {
             const Shape shape = in_out ? Shape{e.inputs, e.outputs} : Shape{e.outputs, e.inputs};
             return model::linear_activation(b, {.x = x,
                                                 .w = b.weight("w", shape),
                                                 .b = b.weight("b", {e.outputs}),
                                                 .activation = activation,
                                                 .weights_in_out = in_out});
           }});
    }
  }
  for (const bool has_bias : {false, true}) {
    out.push_back({has_bias ? "residual_bias" : "residual", "linear_residual",
                   [has_bias](Builder& b, Value x, const Extents& e) {
                     return model::linear_residual(
                         b, {.x = x,
                             .w = b.weight("w", {e.outputs, e.inputs}),
                             .b = has_bias ? b.weight("b", {e.outputs}) : Value{},
                             .residual = b.real_input("residual", {e.rows, e.outputs})});
                   }});
  }
  out.push_back({"swiglu", "swiglu", [](Builder& b, Value x, const Extents& e) {
                   return model::swiglu(b, {.x = x,
                                            .gate_w = b.weight("gate", {e.outputs, e.inputs}),
                                            .up_w = b.weight("up", {e.outputs, e.inputs})});
                 }});
  return out;
}

// Where bf16 runs store an operand or a result as bf16: between products.
struct Neighbours {
  bool norm_before = false;  // what the composite reads is read by products alone
  bool linear_after = false;
};

ops::Plan record(const Network& network, const Extents& e, const Neighbours& neighbours) {
  Builder b;
  const Value x = b.real_input("x", {e.rows, e.inputs});
  b.stage("all", [&] {
    Value h = neighbours.norm_before ? b.layer_norm(x, {}, {}, 1e-5F) : x;
    h = network.record(b, h, e);
    if (neighbours.linear_after) {
      h = b.linear(h, b.weight("after", {7, e.outputs}), {});
    }
    b.output(h);
    return h;
  });
  return b.take();
}

void fill(const TensorView& input, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  const auto values = input.as<float>();
  std::generate(values.begin(), values.end(), [&] { return normal(engine); });
}

struct Outcome {
  std::vector<std::string> lowerings;
  std::vector<float> output;
};

Outcome run(ops::Plan plan, ops::Precision precision, bool whole, int threads) {
  const auto backend = make_cpu_backend(threads);
  const MadeUpWeights weights(plan);
  ops::fold_once(plan);
  EXPECT_TRUE(ops::assign_precision(plan, precision).ok());
  const auto composites = whole ? backend->composite_rows() : std::span<const ops::CompositeRow>();
  const Status selected = ops::select(plan, backend->leaf_rows(), composites);
  EXPECT_TRUE(selected.ok()) << selected.message();
  ops::place(plan, /*keep_sites=*/false);
  auto program = backend->bind(plan, weights);
  EXPECT_TRUE(program.ok()) << program.status().message();
  uint32_t seed = 1;
  for (const Value input : plan.inputs) {
    fill(program.value()->view(input), seed++);
  }
  const Status ran = program.value()->run({});
  EXPECT_TRUE(ran.ok()) << ran.message();
  Outcome outcome;
  for (const ops::Call& call : plan.calls) {
    outcome.lowerings.push_back(call.lowering);
  }
  const auto values = program.value()->view(plan.outputs[0]).as<float>();
  outcome.output.assign(values.begin(), values.end());
  return outcome;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
  });
}

class CompositeTest : public testing::TestWithParam<Network> {};

INSTANTIATE_TEST_SUITE_P(Blocks, CompositeTest, testing::ValuesIn(networks()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_P(CompositeTest, RunWholeGivesTheBitsOfItsSteps) {
  // One row; odd everything; more rows than a block; more columns than a thread's share.
  const std::vector<Extents> all_extents = {
      {1, 96, 40}, {17, 33, 81}, {33, 144, 576}, {300, 32, 50}, {40, 257, 1030}};
  for (const ops::Precision precision : {ops::Precision::kFp32, ops::Precision::kBf16}) {
    for (const Extents& e : all_extents) {
      for (const bool before : {false, true}) {
        for (const bool after : {false, true}) {
          const ops::Plan plan = record(GetParam(), e, {before, after});
          const Outcome whole = run(plan, precision, /*whole=*/true, 2);
          const Outcome steps = run(plan, precision, /*whole=*/false, 1);
          const std::string label = fmt::format(
              "{} [{}, {}] -> {}, norm before {}, linear after {}", ops::precision_name(precision),
              e.rows, e.inputs, e.outputs, before, after);
          const std::string lowering = "cpu:" + GetParam().composite;
          EXPECT_EQ(std::ranges::count(whole.lowerings, lowering), 1) << label;
          EXPECT_EQ(std::ranges::count(steps.lowerings, lowering), 0) << label;
          ASSERT_FALSE(whole.output.empty());
          EXPECT_TRUE(same_bits(whole.output, steps.output)) << label;
        }
      }
    }
  }
}

TEST_P(CompositeTest, SomethingComesOut) {
  for (const ops::Precision precision : {ops::Precision::kFp32, ops::Precision::kBf16}) {
    const Outcome outcome = run(record(GetParam(), {5, 64, 32}, {true, false}), precision, true, 2);
    EXPECT_TRUE(std::ranges::all_of(outcome.output, [](float x) { return std::isfinite(x); }));
    EXPECT_FALSE(std::ranges::all_of(outcome.output, [](float x) { return x == 0.0F; }));
  }
}

TEST(Composite, EveryRowOfTheTableIsTested) {
  const auto backend = make_cpu_backend(1);
  for (const ops::CompositeRow& row : backend->composite_rows()) {
    EXPECT_TRUE(std::ranges::any_of(networks(), [&](const Network& network) {
      return network.composite == row.composite;
    })) << row.composite;
  }
}

}  // namespace
}  // namespace sinew::engine
