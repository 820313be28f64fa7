#include "ops/passes.h"

#include "base/check.h"
#include "base/error.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

namespace sinew::ops {
namespace {

struct PrecisionName {
  Precision precision;
  std::string_view name;
};

constexpr std::array<PrecisionName, 5> kPrecisions = {{{Precision::kFp32, "fp32"},
                                                       {Precision::kBf16, "bf16"},
                                                       {Precision::kFp16, "fp16"},
                                                       {Precision::kInt8, "int8"},
                                                       {Precision::kFp8, "fp8"}}};

// A leaf call, or a refusal that names what was asked.
Result<Call> select_leaf(const Plan& plan, int32_t index, std::span<const LeafRow> rows) {
  const Step& step = plan.steps[static_cast<size_t>(index)];
  Call call{.first_step = index, .end_step = index + 1, .lowering = {}, .refusals = {}};
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].op != step.op) {
      continue;
    }
    const auto refusal = rows[r].refuse == nullptr ? std::nullopt : rows[r].refuse(plan, step);
    if (!refusal) {
      call.row = static_cast<int32_t>(r);
      call.lowering = rows[r].name;
      return call;
    }
    call.refusals.push_back(fmt::format("{}: {}", rows[r].name, *refusal));
  }
  return unsupported("no kernel for {} recorded at {}:{} ({})", op_name(step.op), step.file,
                     step.line,
                     call.refusals.empty() ? "the backend has none"
                                           : fmt::format("{}", fmt::join(call.refusals, "; ")));
}

// The name of a site whose value only the composite's own steps see; run whole, it would have no
// memory.
std::optional<std::string> site_inside(const Plan& plan, const CompositeCall& composite) {
  for (const Site& site : plan.sites) {
    const Value value = plan.root(site.value);
    const int32_t producer = plan.info(value).producer;
    const auto& results = composite.results;
    if (producer >= composite.first_step && producer < composite.end_step &&
        std::find_if(results.begin(), results.end(),
                     [&](Value result) { return plan.root(result) == value; }) == results.end()) {
      return site.name;
    }
  }
  return std::nullopt;
}

// The outermost composite that begins exactly at `step` and is accepted whole, or -1.
int32_t select_composite(const Plan& plan, int32_t step, std::span<const CompositeRow> rows,
                         bool keep_sites, Call& call) {
  for (size_t c = 0; c < plan.composites.size();
       ++c) {  // outer composites are recorded before their parts
    const CompositeCall& composite = plan.composites[c];
    if (composite.first_step != step || composite.end_step <= step) {
      continue;
    }
    const std::optional<std::string> inside =
        keep_sites ? site_inside(plan, composite) : std::nullopt;
    if (inside) {
      call.refusals.push_back(fmt::format("{}: its {} is a site", composite.name, *inside));
      continue;
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      if (rows[r].composite != composite.name || rows[r].version != composite.version) {
        continue;
      }
      const auto refusal =
          rows[r].refuse == nullptr ? std::nullopt : rows[r].refuse(plan, composite);
      if (!refusal) {
        call.composite = static_cast<int32_t>(c);
        call.first_step = composite.first_step;
        call.end_step = composite.end_step;
        call.row = static_cast<int32_t>(r);
        call.lowering = rows[r].name;
        return call.composite;
      }
      call.refusals.push_back(fmt::format("{}: {}", rows[r].name, *refusal));
    }
  }
  return -1;
}

void check_once_sources(const Plan& plan, const Step& step) {
  for (const Value src : step.srcs) {
    if (src.valid()) {
      const ValueInfo& info = plan.info(plan.root(src));
      SINEW_CHECK(info.kind == ValueKind::kWeight || info.is_once);
    }
  }
}

}  // namespace

std::string_view precision_name(Precision precision) {
  return kPrecisions[static_cast<size_t>(precision)].name;
}

std::optional<Precision> precision_from_name(std::string_view name) {
  for (const PrecisionName& row : kPrecisions) {
    if (row.name == name) {
      return row.precision;
    }
  }
  return std::nullopt;
}

void fold_once(Plan& plan) {
  std::vector<int32_t> order(plan.steps.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_partition(order.begin(), order.end(),
                        [&](int32_t i) { return plan.steps[static_cast<size_t>(i)].is_once; });
  std::vector<int32_t> moved_to(order.size());
  std::vector<Step> steps;
  steps.reserve(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    Step& step = plan.steps[static_cast<size_t>(order[i])];
    if (step.is_once) {
      check_once_sources(plan, step);
    }
    moved_to[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
    steps.push_back(std::move(step));
  }
  plan.steps = std::move(steps);
  for (ValueInfo& info : plan.values) {
    if (info.producer >= 0) {
      info.producer = moved_to[static_cast<size_t>(info.producer)];
    }
  }
  // A composite keeps only the steps that stay in the run; a composite of once-steps moves with
  // them.
  for (CompositeCall& composite : plan.composites) {
    int32_t first = -1;
    int32_t count = 0;
    bool is_mixed = false;
    for (int32_t i = composite.first_step; i < composite.end_step; ++i) {
      const int32_t target = moved_to[static_cast<size_t>(i)];
      if (first < 0) {
        first = target;
      }
      is_mixed = is_mixed || target != first + count;
      ++count;
    }
    SINEW_CHECK(!is_mixed);  // a composite is recorded wholly inside or wholly outside of once()
    composite.first_step = std::max(first, 0);
    composite.end_step = composite.first_step + count;
  }
}

namespace {

// Whether a step reads its source `index` as the operand of a matrix product.
bool is_product_operand(const Plan& plan, const Step& step, size_t index) {
  switch (step.op) {
    case OpKind::kLinear:
      return index == 0;
    case OpKind::kAttention:  // bf16 products read pairs
      return plan.info(step.srcs[0]).shape[plan.info(step.srcs[0]).shape.rank() - 1] /
                 std::get<AttentionAttributes>(step.attributes).heads % 2 ==
             0;
    case OpKind::kGatherRows:  // moves rows: what they are read as decides
      return index == 0 && plan.info(plan.root(step.dsts[0])).dtype == DType::kBf16;
    default:
      return false;
  }
}

// Ops whose results backends can store as bf16. The others feed f32 arithmetic in every network so
// far.
bool can_store_bf16(OpKind op) {
  switch (op) {
    case OpKind::kEmbed:
    case OpKind::kScatterRows:
    case OpKind::kConcatRows:
    case OpKind::kNormalizeFrames:
    case OpKind::kPixelShuffle:
    case OpKind::kEulerStep:
    case OpKind::kTimeSinusoid:
    case OpKind::kRopeTable:
    case OpKind::kResizePositions:
      return false;
    default:
      return true;
  }
}

// What only matrix products read is stored as they take it: that rounding happens there anyway.
// Everything else, residual streams above all, stays f32. Backwards, so that every reader of a
// value is known before its writer.
void store_product_operands_as_bf16(Plan& plan) {
  std::vector<bool> is_read(plan.values.size());
  std::vector<bool> is_read_otherwise(plan.values.size());
  for (const Value v : plan.outputs) {
    is_read_otherwise[static_cast<size_t>(plan.root(v).id)] = true;
  }
  for (auto step = plan.steps.rbegin(); step != plan.steps.rend(); ++step) {
    for (const Value dst : step->dsts) {
      const auto i = static_cast<size_t>(plan.root(dst).id);
      ValueInfo& info = plan.values[i];
      if (is_read[i] && !is_read_otherwise[i] && !info.is_once && can_store_bf16(step->op)) {
        info.dtype = DType::kBf16;
      }
    }
    for (size_t s = 0; s < step->srcs.size(); ++s) {
      if (step->srcs[s].valid()) {
        const auto i = static_cast<size_t>(plan.root(step->srcs[s]).id);
        is_read[i] = true;
        is_read_otherwise[i] = is_read_otherwise[i] || !is_product_operand(plan, *step, s);
      }
    }
  }
  for (ValueInfo& info : plan.values) {
    if (info.kind == ValueKind::kAlias) {
      info.dtype = plan.values[static_cast<size_t>(info.alias_of)].dtype;
    }
  }
}

}  // namespace

Status assign_precision(Plan& plan, Precision precision) {
  if (precision != Precision::kFp32 && precision != Precision::kBf16) {
    return unsupported("precision {} is not part of this build: use --precision fp32 or bf16",
                       precision_name(precision));
  }
  for (ValueInfo& info : plan.values) {
    info.dtype = info.is_index ? DType::kI32 : info.is_frame ? DType::kU8 : DType::kF32;
  }
  plan.product_dtype = DType::kF32;
  if (precision == Precision::kBf16) {
    plan.product_dtype = DType::kBf16;
    store_product_operands_as_bf16(plan);
  }
  return {};
}

Status select(Plan& plan, std::span<const LeafRow> leaves, std::span<const CompositeRow> composites,
              const DeviceCaps& device, bool keep_sites) {
  plan.device = device;
  plan.once_calls.clear();
  plan.calls.clear();
  for (int32_t step = 0; step < static_cast<int32_t>(plan.steps.size());) {
    Call call;
    if (select_composite(plan, step, composites, keep_sites, call) < 0) {
      std::vector<std::string> refusals = std::move(call.refusals);
      SINEW_ASSIGN(call, select_leaf(plan, step, leaves));
      call.refusals.insert(call.refusals.begin(), refusals.begin(), refusals.end());
    }
    step = call.end_step;
    const bool is_once = plan.steps[static_cast<size_t>(call.first_step)].is_once;
    (is_once ? plan.once_calls : plan.calls).push_back(std::move(call));
  }
  return {};
}

}  // namespace sinew::ops
