#include "engine/session.h"

#include "base/check.h"

#include <algorithm>
#include <chrono>
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

void Executable::run() {
  using Clock = std::chrono::steady_clock;
  auto before = Clock::now();
  for (size_t i = 0; i < times_.size(); ++i) {
    program_->run_stage(i);
    const auto after = Clock::now();
    times_[i].ms = std::chrono::duration<double, std::milli>(after - before).count();
    before = after;
  }
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
    SINEW_TRY(ops::select(plan, backend_->leaf_rows(), backend_->composite_rows()));
  }
  if (stage >= 4) {
    ops::place(plan, options_.keep_sites);
  }
  return plan;
}

Status Session::bind(Executable& executable) {
  SINEW_ASSIGN(executable.program_, backend_->bind(*executable.plan_, weights_));
  executable.program_->run_once();
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
    use.constant_bytes += executable.plan_->constant_bytes;
  }
  return use;
}

Result<std::string> Session::plan_text(const PlanKey& key, int stage) const {
  SINEW_ASSIGN(const ops::Plan plan, passed_plan(key, stage));
  return ops::plan_text(plan);
}

}  // namespace sinew::engine
