// A CPU kernel bound to its operands: what a leaf step becomes on the CPU backend. Definition of
// each op: ops/op.h. One file per op (or family of equal loops).
#pragma once

#include "base/thread_pool.h"
#include "ops/bound_step.h"
#include "ops/passes.h"
#include "ops/plan.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace sinew::cpu {

// What a kernel is lent for one run.
struct RunContext {
  std::byte* workspace = nullptr;  // as large as the largest workspace_bytes()
  ThreadPool& pool;
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  // Scratch it needs during run(), bytes; one region is shared by all kernels of a session.
  virtual size_t workspace_bytes() const { return 0; }

  // Reads its sources, writes its results. Allocates nothing, takes no lock, never fails. The pool
  // has as many threads as the step was bound for.
  virtual void run(const RunContext& context) = 0;
};

class WeightCache;  // weights.h: parameters converted to f32 or packed, once for all plans of a
                    // session

using ops::BoundStep;

using MakeKernel = Result<std::unique_ptr<Kernel>> (*)(const BoundStep& step, WeightCache& weights);

struct CpuRow {
  ops::LeafRow row;
  MakeKernel make = nullptr;
};

// The ordered table of all CPU lowerings; every OpKind has at least one row that accepts any step
// in f32.
std::span<const CpuRow> cpu_rows();

// The steps of a composite in recorded order; results that only the composite's own steps read have
// no memory (data == nullptr).
using MakeCompositeKernel = Result<std::unique_ptr<Kernel>> (*)(std::span<const BoundStep> steps,
                                                                WeightCache& weights);

struct CpuCompositeRow {
  ops::CompositeRow row;
  MakeCompositeKernel make = nullptr;
};

// Composites that are run whole. Each computes what its steps compute one by one, to the bit.
std::span<const CpuCompositeRow> cpu_composite_rows();

}  // namespace sinew::cpu
