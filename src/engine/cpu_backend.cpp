// The CPU backend: one thread pool, one arena, one workspace, and the parameters as kernels want
// them.
#include "base/check.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/backend.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/weights.h"
#include "tensor/buffer.h"

#include <algorithm>
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

  void run_once() override {
    run_all(once_);
    // Much of what once-steps read is of no use afterwards: a tenth of a policy's parameters.
    once_.clear();
    once_weights_.reset();
  }

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

  // A step with its operands' addresses. Results that a composite keeps to itself have none.
  cpu::BoundStep bind_step(const ops::Step& step, const WeightSource& weights) const {
    cpu::BoundStep bound{.op = step.op,
                         .attributes = step.attributes,
                         .srcs = {},
                         .src_is_weight = {},
                         .dsts = {},
                         .product_dtype = plan_.product_dtype,
                         .threads = pool_.threads()};
    for (const ops::Value src : step.srcs) {
      const bool is_weight =
          src.valid() && plan_.info(plan_.root(src)).kind == ops::ValueKind::kWeight;
      bound.src_is_weight.push_back(is_weight);
      bound.srcs.push_back(!src.valid() ? ConstTensorView()
                           : is_weight  ? weight_view(src, weights)
                                        : view_if_placed(src));
    }
    for (const ops::Value dst : step.dsts) {
      bound.dsts.push_back(view_if_placed(dst));
    }
    return bound;
  }

  TensorView view_if_placed(ops::Value value) const {
    const ops::Placement& place = plan_.placements[static_cast<size_t>(plan_.root(value).id)];
    if (place.region == ops::Region::kNone) {
      return {nullptr, plan_.info(value).dtype, plan_.info(value).shape};
    }
    return view(value);
  }

  Status make_call(const ops::Call& call, const WeightSource& weights, cpu::WeightCache& cache,
                   KernelList& into) {
    std::vector<cpu::BoundStep> steps;
    for (int32_t s = call.first_step; s < call.end_step; ++s) {
      steps.push_back(bind_step(plan_.steps[static_cast<size_t>(s)], weights));
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

  // A weight, or the slice of one, in its stored type.
  ConstTensorView weight_view(ops::Value value, const WeightSource& weights) const {
    const ops::ValueInfo& info = plan_.info(value);
    const ConstTensorView stored = weights.weight(plan_.info(plan_.root(value)).name);
    const auto* data = static_cast<const std::byte*>(stored.data);
    return {data + static_cast<size_t>(info.alias_offset) * dtype_bytes(stored.dtype), stored.dtype,
            info.shape};
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
  explicit CpuBackend(int threads) : pool_(threads), cache_(pool_) {
    for (const cpu::CpuRow& row : cpu::cpu_rows()) {
      rows_.push_back(row.row);
    }
    for (const cpu::CpuCompositeRow& row : cpu::cpu_composite_rows()) {
      composite_rows_.push_back(row.row);
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
  std::vector<ops::CompositeRow> composite_rows_;
  ThreadPool pool_;
  cpu::WeightCache cache_;
  Buffer arena_;
  Buffer workspace_;
  int generation_ = 0;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace sinew::engine
