#include "engine/session.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace sinew::engine {

TensorView Executable::input(std::string_view name) const {
  for (const ops::Value v : plan_->inputs) {
    if (plan_->info(v).name == name) {
      return program_->view(v);
    }
  }
  SINEW_CHECK(false && "no such input");
  return {};
}

TensorView Executable::output(size_t index) const {
  return program_->view(plan_->outputs[index]);
}

Status Executable::run(bool times_stages) {
  has_stage_times_ = false;
  SINEW_TRY(program_->run(times_stages ? std::span<double>(stage_ms_) : std::span<double>()));
  has_stage_times_ = times_stages;
  for (size_t i = 0; i < times_.size(); ++i) {
    times_[i].ms = times_stages ? stage_ms_[i] : 0;
  }
  return {};
}

Session::Session(std::unique_ptr<Backend> backend, const WeightSource& weights, Record record,
                 SessionOptions options)
    : backend_(std::move(backend)),
      weights_(weights),
      record_(std::move(record)),
      options_(options) {}

Result<ops::Plan> Session::passed_plan(const PlanKey& key, int stage) const {
  ops::Plan plan = record_(key);
  if (stage >= 1) {
    ops::fold_once(plan);
  }
  if (stage >= 2) {
    SINEW_TRY(ops::assign_precision(plan, options_.precision));
  }
  if (stage >= 3) {
    SINEW_TRY(ops::select(plan, backend_->leaf_rows(), backend_->composite_rows(),
                          backend_->device(), options_.keep_sites));
  }
  if (stage >= 4) {
    ops::place(plan, options_.keep_sites);
  }
  return plan;
}

Status Session::bind(Executable& executable) {
  SINEW_ASSIGN(executable.program_, backend_->bind(*executable.plan_, weights_));
  executable.generation_ = backend_->arena_generation();
  return {};
}

Result<Executable*> Session::prepare(const PlanKey& key) {
  const auto found = std::find_if(executables_.begin(), executables_.end(),
                                  [&](const Executable& e) { return e.key_ == key; });
  if (found != executables_.end()) {
    executables_.splice(executables_.begin(), executables_, found);
    Executable& executable = executables_.front();
    if (executable.generation_ != backend_->arena_generation()) {
      SINEW_TRY(bind(executable));
    }
    return &executable;
  }
  Executable executable;
  executable.key_ = key;
  SINEW_ASSIGN(ops::Plan plan, passed_plan(key, 4));
  executable.plan_ = std::make_unique<ops::Plan>(std::move(plan));
  for (const std::string& stage : executable.plan_->stages) {
    executable.times_.push_back({.stage = stage, .ms = 0});
  }
  executable.stage_ms_.resize(executable.times_.size());
  SINEW_TRY(bind(executable));
  executables_.push_front(std::move(executable));
  if (executables_.size() > std::max<size_t>(options_.max_executables, 1)) {
    executables_.pop_back();
  }
  return &executables_.front();
}

MemoryUse Session::memory() const {
  MemoryUse use = backend_->memory();
  for (const Executable& executable : executables_) {
    const MemoryUse own = executable.program_->memory();
    use.arena_bytes += own.arena_bytes;
    use.constant_bytes += own.constant_bytes;
    use.workspace_bytes += own.workspace_bytes;
    use.staging_bytes += own.staging_bytes;
  }
  return use;
}

Result<std::string> Session::plan_text(const PlanKey& key, int stage) const {
  SINEW_ASSIGN(const ops::Plan plan, passed_plan(key, stage));
  return ops::plan_text(plan);
}

}  // namespace sinew::engine
