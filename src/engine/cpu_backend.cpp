// The CPU backend: leaf lowerings only, so that what runs is the definition itself.
#include "base/check.h"
#include "base/error.h"
#include "engine/backend.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/weights.h"
#include "tensor/buffer.h"

#include <omp.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sinew::engine {
namespace {

using KernelList = std::vector<std::unique_ptr<cpu::Kernel>>;

class CpuProgram final : public Program {
 public:
  CpuProgram(const ops::Plan& plan, int threads)
      : plan_(plan), stages_(plan.stages.size()), threads_(threads) {}

  void run_once() override { run_all(once_); }

  void run_stage(size_t stage) override { run_all(stages_[stage]); }

  TensorView view(ops::Value value) const override {
    const ops::ValueInfo& info = plan_.info(value);
    const ops::Value root = plan_.root(value);
    const ops::Placement& place = plan_.placements[static_cast<size_t>(root.id)];
    SINEW_CHECK(place.region != ops::Region::kNone);
    std::byte* base = place.region == ops::Region::kArena ? arena_ : constant_memory_;
    const size_t offset = static_cast<size_t>(info.alias_offset) * dtype_bytes(info.dtype);
    return {base + place.offset_bytes + offset, info.dtype, info.shape};
  }

  // Allocates the constants and makes every kernel; `arena` is set by the backend beforehand.
  Status make(const WeightSource& weights, cpu::WeightCache& cache) {
    SINEW_ASSIGN(constants_, Buffer::allocate(plan_.constant_bytes));
    constant_memory_ = constants_.data();
    for (const ops::Call& call : plan_.once_calls) {
      SINEW_TRY(make_call(call, weights, cache, once_));
    }
    for (const ops::Call& call : plan_.calls) {
      const int32_t stage = plan_.steps[static_cast<size_t>(call.first_step)].stage;
      SINEW_CHECK(stage >= 0);
      SINEW_TRY(make_call(call, weights, cache, stages_[static_cast<size_t>(stage)]));
    }
    return {};
  }

  void set_arena(std::byte* arena) { arena_ = arena; }

  void set_workspace(std::byte* workspace) { workspace_ = workspace; }

  size_t workspace_bytes() const { return workspace_bytes_; }

 private:
  void run_all(const KernelList& kernels) {
    omp_set_num_threads(threads_);
    for (const auto& kernel : kernels) {
      kernel->run(workspace_);
    }
  }

  Status make_call(const ops::Call& call, const WeightSource& weights, cpu::WeightCache& cache,
                   KernelList& into) {
    const ops::Step& step = plan_.steps[static_cast<size_t>(call.first_step)];
    cpu::BoundStep bound{
        .op = step.op, .attributes = step.attributes, .srcs = {}, .src_is_weight = {}, .dsts = {}};
    for (const ops::Value src : step.srcs) {
      const bool is_weight =
          src.valid() && plan_.info(plan_.root(src)).kind == ops::ValueKind::kWeight;
      bound.src_is_weight.push_back(is_weight);
      bound.srcs.push_back(!src.valid() ? ConstTensorView()
                           : is_weight  ? weight_view(src, weights)
                                        : view(src));
    }
    for (const ops::Value dst : step.dsts) {
      bound.dsts.push_back(view(dst));
    }
    auto kernel = cpu::cpu_rows()[static_cast<size_t>(call.row)].make(bound, cache);
    if (!kernel.ok()) {
      return std::move(kernel).status().with(
          fmt::format("{} recorded at {}:{}", ops::op_name(step.op), step.file, step.line));
    }
    workspace_bytes_ = std::max(workspace_bytes_, kernel.value()->workspace_bytes());
    into.push_back(std::move(kernel).value());
    return {};
  }

  // A weight, or the slice of one, in its stored type.
  ConstTensorView weight_view(ops::Value value, const WeightSource& weights) const {
    const ops::ValueInfo& info = plan_.info(value);
    const ConstTensorView stored = weights.weight(plan_.info(plan_.root(value)).name);
    const auto* data = static_cast<const std::byte*>(stored.data);
    return {data + static_cast<size_t>(info.alias_offset) * dtype_bytes(stored.dtype), stored.dtype,
            info.shape};
  }

  const ops::Plan& plan_;
  Buffer constants_;
  std::byte* constant_memory_ = nullptr;  // of constants_
  std::byte* arena_ = nullptr;
  std::byte* workspace_ = nullptr;
  KernelList once_;
  std::vector<KernelList> stages_;
  size_t workspace_bytes_ = 0;
  int threads_;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads) : threads_(threads) {
    for (const cpu::CpuRow& row : cpu::cpu_rows()) {
      rows_.push_back(row.row);
    }
  }

  std::string_view name() const override { return "cpu"; }

  std::span<const ops::LeafRow> leaf_rows() const override { return rows_; }

  std::span<const ops::CompositeRow> composite_rows() const override { return {}; }

  Result<std::unique_ptr<Program>> bind(const ops::Plan& plan,
                                        const WeightSource& weights) override {
    omp_set_num_threads(threads_);
    SINEW_TRY(grow(arena_, plan.arena_bytes));
    auto program = std::make_unique<CpuProgram>(plan, threads_);
    program->set_arena(arena_.data());
    SINEW_TRY(program->make(weights, cache_));
    SINEW_TRY(grow(workspace_, program->workspace_bytes()));
    program->set_workspace(workspace_.data());
    return std::unique_ptr<Program>(std::move(program));
  }

  int arena_generation() const override { return generation_; }

  MemoryUse memory() const override {
    return {.weight_bytes = cache_.bytes(),
            .arena_bytes = arena_.size_bytes(),
            .constant_bytes = 0,
            .workspace_bytes = workspace_.size_bytes()};
  }

 private:
  // Makes a shared region large enough; one that moves ends the programs bound to it.
  Status grow(Buffer& region, size_t size_bytes) {
    if (region.size_bytes() < size_bytes) {
      SINEW_ASSIGN(region, Buffer::allocate(size_bytes));
      ++generation_;
    }
    return {};
  }

  std::vector<ops::LeafRow> rows_;
  cpu::WeightCache cache_;
  Buffer arena_;
  Buffer workspace_;
  int generation_ = 0;
  int threads_;
};

// Distinct (physical id, core id) pairs of /proc/cpuinfo; 0 where the kernel does not say (arm64).
int physical_cores() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::set<std::pair<std::string, std::string>> cores;
  std::string package;
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::string value = line.substr(std::min(line.size(), line.find(':') + 1));
    if (line.starts_with("physical id")) {
      package = value;
    } else if (line.starts_with("core id")) {
      cores.emplace(package, value);
    }
  }
  return static_cast<int>(cores.size());
}

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

int resolve_threads(int requested, std::string& note) {
  const int logical = std::max(1, omp_get_num_procs());
  if (requested > logical) {
    note = fmt::format("{} asked for, {} logical processors available", requested, logical);
    return logical;
  }
  if (requested > 0) {
    return requested;
  }
  const int physical = physical_cores();
  note = "physical cores";
  return physical > 0 ? std::min(physical, logical) : logical;
}

}  // namespace sinew::engine
