// The four passes between a recorded plan and a machine, in order. Each is a pure function of its
// arguments; the plan after any of them can be printed (plan_text).
#pragma once

#include "ops/plan.h"

#include "sinew/result.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sinew::ops {

enum class Precision : uint8_t { kFp32, kBf16, kFp16, kInt8, kFp8 };

std::string_view precision_name(Precision precision);
std::optional<Precision> precision_from_name(std::string_view name);

// One way to run a leaf op, in a backend's ordered table (fastest first; the last one must accept
// everything).
struct LeafRow {
  OpKind op = OpKind::kAdd;
  std::string_view name;  // "cpu:linear"
  std::optional<std::string> (*refuse)(const Plan& plan, const Step& step) =
      nullptr;  // a reason, or nothing: accepted
};

// One way to run a whole composite.
struct CompositeRow {
  std::string_view composite;  // contract name and version it implements
  int version = 1;
  std::string_view name;
  std::optional<std::string> (*refuse)(const Plan& plan, const CompositeCall& call) = nullptr;
};

// Pass 1. Checks that every once-step depends on weights and once-values only, marks their results,
// and moves the steps to the front (order kept), so that they can be run at load.
void fold_once(Plan& plan);

// Pass 2. Gives every value its storage type, and matrix products theirs (Plan::product_dtype).
// fp32: everything real is f32 (the CPU oracle). bf16: products take bf16 operands and sum in f32;
// what only they read is stored as bf16, everything else as f32 (docs/numerics.md). kUnsupported
// for a precision that no backend of this build runs.
Status assign_precision(Plan& plan, Precision precision);

// Pass 3. Walks composites from the outside in: the first row that accepts takes the whole range,
// else its parts are looked at; a leaf without an accepting row is kUnsupported, naming op, model
// line and every refusal. Rows find `device` in the plan that they are asked about. With
// `keep_sites` a composite with a site inside is taken apart, so that the site has memory.
Status select(Plan& plan, std::span<const LeafRow> leaves, std::span<const CompositeRow> composites,
              const DeviceCaps& device = {}, bool keep_sites = true);

// Pass 4. Liveness over the calls, then offsets in the arena (64-byte aligned, first fit by
// decreasing size; no two live values overlap, which is checked) and in the constants. Inputs and
// outputs live throughout; with `keep_sites` every site does.
void place(Plan& plan, bool keep_sites);

}  // namespace sinew::ops
