// What a kind of device offers: its ordered tables of lowerings, and binding a placed plan to
// memory.
#pragma once

#include "engine/weight_source.h"
#include "ops/passes.h"
#include "ops/plan.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sinew::engine {

// A plan bound to addresses: everything that can be refused or allocated happened before it exists.
class Program {
 public:
  virtual ~Program() = default;

  // Runs the once-steps; called once, before the first run.
  virtual void run_once() = 0;

  // Runs the calls of one stage in order (plan.stages); stages are run in recorded order. Allocates
  // nothing.
  virtual void run_stage(size_t stage) = 0;

  // Memory of a value that the placed plan keeps: inputs, outputs, sites.
  virtual TensorView view(ops::Value value) const = 0;
};

struct MemoryUse {
  size_t weight_bytes = 0;
  size_t arena_bytes = 0;
  size_t constant_bytes = 0;  // filled in by Session, which owns the programs
  size_t workspace_bytes = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;  // "cpu"
  virtual std::span<const ops::LeafRow> leaf_rows() const = 0;
  virtual std::span<const ops::CompositeRow> composite_rows() const = 0;

  // `plan` has been through all passes and outlives the program, as do the weights. Programs of one
  // backend share the arena and the workspace: only the one that ran last has valid contents.
  // Binding a plan that needs a larger arena invalidates earlier programs (arena_generation()
  // changes).
  virtual Result<std::unique_ptr<Program>> bind(const ops::Plan& plan,
                                                const WeightSource& weights) = 0;

  // Counts how often the shared memory moved; a program bound at another generation must be bound
  // anew.
  virtual int arena_generation() const = 0;

  virtual MemoryUse memory() const = 0;
};

// The CPU backend: the oracle, and the device of machines without a GPU. `threads` as
// resolve_threads gives it.
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace sinew::engine
