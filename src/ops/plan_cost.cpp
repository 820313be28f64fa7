#include "ops/plan_cost.h"

namespace sinew::ops {
namespace {

int64_t linear_flop(const Plan& plan, const Step& step) {
  const Shape& x = plan.info(step.srcs[0]).shape;
  return 2 * plan.info(step.dsts[0]).shape.elements() * x[x.rank() - 1];
}

int64_t attention_flop(const Plan& plan, const Step& step) {
  const auto& a = std::get<AttentionAttributes>(step.attributes);
  const Shape& q = plan.info(step.srcs[0]).shape;  // [t, h*e]
  const int64_t queries = q[0] / a.segments;
  const int64_t keys = plan.info(step.srcs[1]).shape[0] / a.segments;
  const int64_t pairs = a.is_causal ? queries * (queries + 1) / 2 : queries * keys;
  return int64_t{4} * a.segments * pairs * q[1];  // q k^T, and weights times v
}

int64_t parameter_bytes(const Plan& plan, const Step& step, Precision precision) {
  int64_t bytes = 0;
  for (size_t i = 0; i < step.srcs.size(); ++i) {
    const Value src = step.srcs[i];
    if (!src.valid() || plan.info(plan.root(src)).kind != ValueKind::kWeight) {
      continue;
    }
    if (step.op == OpKind::kEmbed && i == 0) {  // the rows looked up, not the table
      bytes += plan.info(step.dsts[0]).shape.elements() * element_bytes(precision);
    } else if (step.op == OpKind::kLinear && i == 1) {
      bytes += plan.info(src).shape.elements() * element_bytes(precision);
    } else {
      bytes += plan.info(src).shape.elements() * static_cast<int64_t>(sizeof(float));
    }
  }
  return bytes;
}

}  // namespace

int64_t element_bytes(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return 4;
    case Precision::kBf16:
    case Precision::kFp16:
      return 2;
    case Precision::kInt8:
    case Precision::kFp8:
      return 1;
  }
  return 4;
}

std::vector<StageCost> stage_costs(const Plan& plan, Precision precision) {
  std::vector<StageCost> costs;
  for (const std::string& stage : plan.stages) {
    costs.push_back({.stage = stage});
  }
  for (const Step& step : plan.steps) {
    if (step.is_once || step.stage < 0) {
      continue;
    }
    StageCost& cost = costs[static_cast<size_t>(step.stage)];
    cost.weight_bytes += parameter_bytes(plan, step, precision);
    if (step.op == OpKind::kLinear) {
      cost.flop += linear_flop(plan, step);
    } else if (step.op == OpKind::kAttention) {
      cost.flop += attention_flop(plan, step);
    }
  }
  return costs;
}

}  // namespace sinew::ops
