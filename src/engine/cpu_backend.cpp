// The CPU backend: one thread pool, one arena, one workspace, and the parameters as kernels want
// them.
#include "base/check.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/backend.h"
#include "engine/bind_step.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/weights.h"
#include "tensor/buffer.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace sinew::engine {
namespace {

using KernelList = std::vector<std::unique_ptr<cpu::Kernel>>;

class CpuProgram final : public Program {
 public:
  CpuProgram(const ops::Plan& plan, ThreadPool& pool)
      : plan_(plan), pool_(pool), stages_(plan.stages.size()) {}

  void run_once() {
    run_all(once_);
    // Much of what once-steps read is of no use afterwards: a tenth of a policy's parameters.
    once_.clear();
    once_weights_.reset();
  }

  Status run(std::span<double> stage_ms) override {
    using Clock = std::chrono::steady_clock;
    auto before = Clock::now();
    for (size_t i = 0; i < stages_.size(); ++i) {
      run_all(stages_[i]);
      const auto after = Clock::now();
      if (!stage_ms.empty()) {
        stage_ms[i] = std::chrono::duration<double, std::milli>(after - before).count();
      }
      before = after;
    }
    return {};
  }

  TensorView view(ops::Value value) const override {
    std::byte* const root = address(plan_.root(value));
    SINEW_CHECK(root != nullptr);
    return view_at(plan_, value, root);
  }

  Result<ConstTensorView> read(ops::Value value) override { return ConstTensorView(view(value)); }

  MemoryUse memory() const override { return {.constant_bytes = constants_.size_bytes()}; }

  // Allocates the constants and makes every kernel; `arena` is set by the backend beforehand.
  Status make(const WeightSource& weights, cpu::WeightCache& cache) {
    SINEW_ASSIGN(constants_, Buffer::allocate(plan_.constant_bytes));
    constant_memory_ = constants_.data();
    once_weights_ = std::make_unique<cpu::WeightCache>(pool_);
    for (const ops::Call& call : plan_.once_calls) {
      SINEW_TRY(make_call(call, weights, *once_weights_, once_));
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
    const cpu::RunContext context{.workspace = workspace_, .pool = pool_};
    for (const auto& kernel : kernels) {
      kernel->run(context);
    }
  }

  // Where a value that owns memory lies; nullptr: a composite keeps it to itself.
  std::byte* address(ops::Value root) const {
    const ops::Placement& place = plan_.placements[static_cast<size_t>(root.id)];
    if (place.region == ops::Region::kNone) {
      return nullptr;
    }
    return (place.region == ops::Region::kArena ? arena_ : constant_memory_) + place.offset_bytes;
  }

  Status make_call(const ops::Call& call, const WeightSource& weights, cpu::WeightCache& cache,
                   KernelList& into) {
    std::vector<cpu::BoundStep> steps =
        bind_call(plan_, call, weights, [this](ops::Value root) { return address(root); });
    for (cpu::BoundStep& step : steps) {
      step.threads = pool_.threads();
    }
    const auto row = static_cast<size_t>(call.row);
    auto kernel = call.composite >= 0 ? cpu::cpu_composite_rows()[row].make(steps, cache)
                                      : cpu::cpu_rows()[row].make(steps.front(), cache);
    const ops::Step& first = plan_.steps[static_cast<size_t>(call.first_step)];
    if (!kernel.ok()) {
      return std::move(kernel).status().with(
          fmt::format("{} recorded at {}:{}", ops::op_name(first.op), first.file, first.line));
    }
    workspace_bytes_ = std::max(workspace_bytes_, kernel.value()->workspace_bytes());
    into.push_back(std::move(kernel).value());
    release_copied(steps, weights);
    return {};
  }

  // Kernels hold copies of their parameters, but for tables that they look rows up in.
  static void release_copied(const std::vector<cpu::BoundStep>& steps,
                             const WeightSource& weights) {
    for (const cpu::BoundStep& step : steps) {
      for (size_t i = 0; i < step.srcs.size(); ++i) {
        if (step.src_is_weight[i] && step.op != ops::OpKind::kEmbed) {
          weights.release(step.srcs[i]);
        }
      }
    }
  }

  const ops::Plan& plan_;
  ThreadPool& pool_;
  std::unique_ptr<cpu::WeightCache> once_weights_;  // of once-steps, until they have run
  Buffer constants_;
  std::byte* constant_memory_ = nullptr;  // of constants_
  std::byte* arena_ = nullptr;
  std::byte* workspace_ = nullptr;
  KernelList once_;
  std::vector<KernelList> stages_;
  size_t workspace_bytes_ = 0;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, LoweringChoice lowering) : pool_(threads), cache_(pool_) {
    for (const cpu::CpuRow& row : cpu::cpu_rows()) {
      rows_.push_back(row.row);
    }
    if (lowering != LoweringChoice::kLeaf) {
      for (const cpu::CpuCompositeRow& row : cpu::cpu_composite_rows()) {
        composite_rows_.push_back(row.row);
      }
    }
  }

  std::string_view name() const override { return "cpu"; }

  std::span<const ops::LeafRow> leaf_rows() const override { return rows_; }

  std::span<const ops::CompositeRow> composite_rows() const override { return composite_rows_; }

  Result<std::unique_ptr<Program>> bind(const ops::Plan& plan,
                                        const WeightSource& weights) override {
    SINEW_TRY(grow(arena_, plan.arena_bytes));
    auto program = std::make_unique<CpuProgram>(plan, pool_);
    program->set_arena(arena_.data());
    SINEW_TRY(program->make(weights, cache_));
    SINEW_TRY(grow(workspace_, program->workspace_bytes()));
    program->set_workspace(workspace_.data());
    program->run_once();
    return std::unique_ptr<Program>(std::move(program));
  }

  int arena_generation() const override { return generation_; }

  MemoryUse memory() const override {
    return {.weight_bytes = cache_.bytes(),
            .arena_bytes = arena_.size_bytes(),
            .workspace_bytes = workspace_.size_bytes()};
  }

  ThreadPool& threads() override { return pool_; }

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
  std::vector<ops::CompositeRow> composite_rows_;
  ThreadPool pool_;
  cpu::WeightCache cache_;
  Buffer arena_;
  Buffer workspace_;
  int generation_ = 0;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads, LoweringChoice lowering) {
  return std::make_unique<CpuBackend>(threads, lowering);
}

}  // namespace sinew::engine
