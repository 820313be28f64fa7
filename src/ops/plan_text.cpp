// Plans as text, for people and for golden files: one line a step.
#include "ops/passes.h"
#include "ops/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace sinew::ops {
namespace {

constexpr std::array<std::string_view, 23> kNames = {"linear",
                                                     "layer_norm",
                                                     "rms_norm",
                                                     "add",
                                                     "mul",
                                                     "modulate",
                                                     "gelu_tanh",
                                                     "gelu_erf",
                                                     "silu",
                                                     "relu",
                                                     "attention",
                                                     "rope",
                                                     "embed",
                                                     "gather_rows",
                                                     "scatter_rows",
                                                     "concat_rows",
                                                     "normalize_frames",
                                                     "patchify",
                                                     "pixel_shuffle",
                                                     "euler_step",
                                                     "time_sinusoid",
                                                     "rope_table",
                                                     "resize_positions"};

struct AttributeText {
  std::string operator()(std::monostate) const { return ""; }

  std::string operator()(const LinearAttributes& a) const {
    return a.weights_in_out ? " weights=in,out" : "";
  }

  std::string operator()(const NormAttributes& a) const {
    return fmt::format(" epsilon={:g}", a.epsilon);
  }

  std::string operator()(const AttentionAttributes& a) const {
    return fmt::format(" heads={} kv_heads={} scale={:g} causal={} segments={}", a.heads,
                       a.kv_heads, a.scale, a.is_causal, a.segments);
  }

  std::string operator()(const RopeAttributes& a) const {
    return fmt::format(" heads={}", a.heads);
  }

  std::string operator()(const GridAttributes& a) const {
    return fmt::format(" rows={} columns={} patch={}", a.rows, a.columns, a.patch);
  }

  std::string operator()(const EulerAttributes& a) const { return fmt::format(" dt={:g}", a.dt); }

  std::string operator()(const SinusoidAttributes& a) const {
    return fmt::format(" time={} half={} form={}", a.time, a.half,
                       a.form == SinusoidForm::kSinCosExclusive ? "sin,cos" : "cos,sin");
  }

  std::string operator()(const RopeTableAttributes& a) const {
    return fmt::format(" theta={:g} positions={}+{} frequencies={}", a.theta, a.first_position,
                       a.positions, a.rounding == FrequencyRounding::kBf16 ? "bf16" : "fp32");
  }
};

std::string value_text(const Plan& plan, Value v) {
  if (!v.valid()) {
    return "-";
  }
  const ValueInfo& info = plan.info(v);
  if (info.kind == ValueKind::kAlias) {
    const std::string root = value_text(plan, {info.alias_of});
    return fmt::format("{}+{}:{}", root.substr(0, root.find('[')), info.alias_offset,
                       info.shape.text());
  }
  const std::string name = info.name.empty() ? fmt::format("%{}", v.id) : info.name;
  return name + info.shape.text();
}

std::string result_text(const Plan& plan, Value v) {
  std::string text = fmt::format("%{}{}", v.id, plan.info(v).shape.text());
  if (!plan.placements.empty()) {
    const Placement& place = plan.placements[static_cast<size_t>(v.id)];
    text += fmt::format("@{}{}", place.region == Region::kConstants ? "const+" : "",
                        place.offset_bytes);
  }
  return text;
}

std::string base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

// step index -> lowering name, and site names by value.
struct Index {
  std::map<int32_t, std::string> lowering;
  std::map<int32_t, std::string> site;
};

Index index_of(const Plan& plan) {
  Index index;
  for (const auto* calls : {&plan.once_calls, &plan.calls}) {
    for (const Call& call : *calls) {
      for (int32_t step = call.first_step; step < call.end_step; ++step) {
        index.lowering[step] = call.lowering;
      }
    }
  }
  for (const Site& site : plan.sites) {
    index.site[site.value.id] = site.name;
  }
  return index;
}

std::string step_text(const Plan& plan, size_t i, const Index& index) {
  const Step& step = plan.steps[i];
  std::string line = fmt::format("{:5} ", i);
  line += step.is_once ? "once " : "     ";
  std::string sites;
  for (size_t k = 0; k < step.dsts.size(); ++k) {
    line += (k == 0 ? "" : ", ") + result_text(plan, step.dsts[k]);
    const auto site = index.site.find(step.dsts[k].id);
    sites += site == index.site.end() ? "" : " site=" + site->second;
  }
  line += fmt::format(" = {}(", op_name(step.op));
  for (size_t k = 0; k < step.srcs.size(); ++k) {
    line += (k == 0 ? "" : ", ") + value_text(plan, step.srcs[k]);
  }
  line += ")" + std::visit(AttributeText{}, step.attributes) + sites;
  if (step.composite >= 0) {
    line += " in=" + plan.composites[static_cast<size_t>(step.composite)].name;
  }
  if (const auto found = index.lowering.find(static_cast<int32_t>(i));
      found != index.lowering.end()) {
    line += " by=" + found->second;
  }
  return line + fmt::format("  {}:{}\n", base_name(step.file), step.line);
}

}  // namespace

std::string_view op_name(OpKind op) {
  return kNames[static_cast<size_t>(op)];
}

std::string plan_text(const Plan& plan) {
  const Index index = index_of(plan);
  std::string text;
  for (const Value input : plan.inputs) {
    text += fmt::format("input {}{}\n", plan.info(input).name, plan.info(input).shape.text());
  }
  std::string_view stage;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const int32_t s = plan.steps[i].stage;
    const std::string_view name = s < 0 ? std::string_view() : plan.stages[static_cast<size_t>(s)];
    if (name != stage) {
      stage = name;
      text += fmt::format("stage {}\n", stage);
    }
    text += step_text(plan, i, index);
  }
  for (const Value output : plan.outputs) {
    text += fmt::format("output {}\n", value_text(plan, output));
  }
  if (!plan.placements.empty()) {
    text +=
        fmt::format("arena {} bytes, constants {} bytes\n", plan.arena_bytes, plan.constant_bytes);
  }
  return text;
}

}  // namespace sinew::ops
