// A Session runs recordings of one network on one device: it keeps the bound programs of the shapes
// seen lately and the staging that requests are copied to. Not thread-safe: one caller at a time.
#pragma once

#include "engine/backend.h"
#include "engine/weight_source.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::engine {

// Everything a recording's shapes depend on, exact (docs/adr/0002-exact-plan-keys.md). The numbers
// are the family's.
using PlanKey = std::vector<int64_t>;

// Records the network for a key.
using Record = std::function<ops::Plan(const PlanKey& key)>;

struct StageTime {
  std::string_view stage;
  double ms = 0;
};

// One bound plan, ready to run.
class Executable {
 public:
  const ops::Plan& plan() const { return *plan_; }

  // Staging of an input or memory of the output, by name or order. Precondition: it exists.
  TensorView input(std::string_view name) const;
  TensorView output(size_t index) const;

  // What the last run left at a dump site; only for sessions that keep sites.
  Result<ConstTensorView> site(size_t index) { return program_->read(plan_->sites[index].value); }

  // Runs every stage in order, and notes the time of each if asked to.
  // Allocates nothing once it has run. On failure no output is valid (Program::run).
  Status run(bool times_stages);

  // Of the last run: one a stage of the plan, or none.
  std::span<const StageTime> stage_times() const {
    return has_stage_times_ ? std::span<const StageTime>(times_) : std::span<const StageTime>();
  }

 private:
  friend class Session;

  PlanKey key_;
  std::unique_ptr<ops::Plan> plan_;
  std::unique_ptr<Program> program_;
  std::vector<StageTime> times_;
  std::vector<double> stage_ms_;  // scratch
  bool has_stage_times_ = false;
  int generation_ = 0;
};

struct SessionOptions {
  ops::Precision precision = ops::Precision::kFp32;
  bool keep_sites = false;
  size_t max_executables = 8;  // kept for reuse; the least recently used one goes first
};

class Session {
 public:
  Session(std::unique_ptr<Backend> backend, const WeightSource& weights, Record record,
          SessionOptions options);

  // The executable of a key: found, or recorded, passed, bound and its once-steps run. Valid until
  // the next call with another key. Errors: kUnsupported, kOutOfMemory.
  Result<Executable*> prepare(const PlanKey& key);

  // The plan of `key` after `stage` passes (0 recorded, 1 folded, 2 precision, 3 selected, 4
  // placed), as text.
  Result<std::string> plan_text(const PlanKey& key, int stage) const;

  // Bytes held by the device's regions and by the programs kept.
  MemoryUse memory() const;

  std::string_view device() const { return backend_->name(); }

  // The backend's, for the caller's own work between calls of the session.
  ThreadPool& threads() { return backend_->threads(); }

 private:
  Result<ops::Plan> passed_plan(const PlanKey& key, int stage) const;
  Status bind(Executable& executable);

  std::unique_ptr<Backend> backend_;
  const WeightSource& weights_;
  Record record_;
  SessionOptions options_;
  std::list<Executable> executables_;  // most recently used first
};

}  // namespace sinew::engine
