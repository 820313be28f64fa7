// A Plan: one network for one set of shapes as a flat list of typed steps. A value: printable,
// comparable, free of any backend. Recorded by Builder, refined by the four passes of passes.h, run
// by engine/.
#pragma once

#include "ops/op.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sinew::ops {

// A handle to a value of the plan being recorded.
struct Value {
  int32_t id = -1;

  bool valid() const { return id >= 0; }

  friend bool operator==(Value, Value) = default;
};

enum class ValueKind : uint8_t {
  kInput,   // filled by the caller before each run
  kWeight,  // a named tensor of the checkpoint
  kResult,  // written by a step
  kAlias,   // a reshaped or row-sliced part of another value; no memory of its own
};

struct ValueInfo {
  ValueKind kind = ValueKind::kResult;
  bool is_index = false;
  bool is_frame = false;  // pixels as a camera gives them
  bool is_once = false;   // depends on weights alone: computed at load, kept (fold_once)
  Shape shape;
  DType dtype = DType::kF32;  // set by assign_precision; weights keep their stored type
  std::string name = {};      // of an input or a weight
  int32_t producer = -1;      // step that writes it
  int32_t alias_of = -1;      // root value (never itself an alias)
  int64_t alias_offset = 0;   // in elements of the root
};

// A composite: a range of steps that together implement a named contract (model/blocks). A backend
// may replace the whole range by one kernel; the range itself is the definition.
struct CompositeCall {
  std::string name;  // "dit_block"
  int version = 1;
  int32_t first_step = 0;
  int32_t end_step = 0;
  int32_t parent = -1;  // enclosing composite
  std::vector<Value>
      operands;  // in the order of the contract's fields; invalid for an absent optional
  std::vector<Value> results;
};

struct Step {
  OpKind op = OpKind::kAdd;
  std::vector<Value> srcs;
  std::vector<Value> dsts;
  Attributes attributes;
  bool is_once = false;
  int32_t composite = -1;  // innermost composite that holds it
  int32_t stage = -1;      // index into Plan::stages
  const char* file = "";   // model line that recorded it
  uint32_t line = 0;
};

// A named place where a tensor can be dumped, observed or quantised.
struct Site {
  std::string name;
  Value value;
};

// Where a value lives once `place` has run.
enum class Region : uint8_t {
  kNone,       // weights, and aliases (follow the root)
  kArena,      // activations and inputs
  kConstants,  // results of once-steps
};

struct Placement {
  Region region = Region::kNone;
  size_t offset_bytes = 0;
};

// One kernel to run: a leaf step, or a composite taken whole.
struct Call {
  int32_t first_step = 0;
  int32_t end_step = 0;
  int32_t composite = -1;  // -1: a leaf
  int32_t row = -1;        // index into the backend's table of leaf or composite lowerings
  std::string lowering;    // its name, for reports
  std::vector<std::string> refusals;  // "name: reason" of those that were asked first
};

// What lowerings ask about the device that they would run on. All 0: a CPU.
struct DeviceCaps {
  int compute_capability = 0;  // 87, 90, ...: ten times the major plus the minor number
  int multiprocessors = 0;
  size_t block_shared_bytes = 0;  // shared memory that one block may ask for
  size_t l2_bytes = 0;
  bool is_integrated = false;  // shares its memory with the host
  // The build has code for this very architecture (90a), not just for its family: wgmma is there.
  bool has_own_code = false;

  friend bool operator==(const DeviceCaps&, const DeviceCaps&) = default;
};

struct Plan {
  std::vector<ValueInfo> values;
  std::vector<Step> steps;
  std::vector<CompositeCall> composites;
  std::vector<Site> sites;
  std::vector<std::string> stages;  // "vision", "language", "action", "denoise0", ...
  std::vector<Value> inputs;
  std::vector<Value> outputs;

  // By `assign_precision`: what matrix products take their operands in (f32, or bf16 with f32
  // sums).
  DType product_dtype = DType::kF32;
  // By `select`: the device that lowerings were chosen for, and the choice.
  DeviceCaps device;
  std::vector<Call> once_calls;
  std::vector<Call> calls;
  // By `place`, one a value.
  std::vector<Placement> placements;
  size_t arena_bytes = 0;
  size_t constant_bytes = 0;

  const ValueInfo& info(Value v) const { return values[static_cast<size_t>(v.id)]; }

  // The value that owns the memory of `v`.
  Value root(Value v) const {
    const ValueInfo& i = info(v);
    return i.kind == ValueKind::kAlias ? Value{i.alias_of} : v;
  }
};

// One line a step: op, sources, results with shapes, attributes, site, and after later passes type,
// lowering and place.
std::string plan_text(const Plan& plan);

}  // namespace sinew::ops
