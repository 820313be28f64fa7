// What a kind of device offers: its ordered tables of lowerings, and binding a placed plan to
// memory.
#pragma once

#include "base/thread_pool.h"
#include "engine/weight_source.h"
#include "ops/passes.h"
#include "ops/plan.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::engine {

struct MemoryUse {
  size_t weight_bytes = 0;
  size_t arena_bytes = 0;
  size_t constant_bytes = 0;
  size_t workspace_bytes = 0;
  size_t staging_bytes = 0;  // host memory that a device copies from and to

  size_t device_bytes() const {
    return weight_bytes + arena_bytes + constant_bytes + workspace_bytes;
  }
};

// A plan bound to addresses: everything that can be refused or allocated happened before it exists,
// the once-steps included.
class Program {
 public:
  virtual ~Program() = default;

  // Runs all stages in order, from the inputs in host memory to the outputs there. `stage_ms`, one
  // a stage, gets their times; empty: they are not measured, which some devices do faster.
  // Allocates nothing once it has run both ways. Errors: kDevice, and the program, with all others
  // of its backend, is of no use any more.
  virtual Status run(std::span<double> stage_ms) = 0;

  // Host memory of an input or an output.
  virtual TensorView view(ops::Value value) const = 0;

  // What the last run left in a value that the placed plan keeps (a site), in host memory; valid
  // until the next call.
  virtual Result<ConstTensorView> read(ops::Value value) = 0;

  // What it holds for itself alone.
  virtual MemoryUse memory() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;  // "cpu", "cuda:0"

  // What lowerings may ask about the device.
  virtual ops::DeviceCaps device() const { return {}; }

  virtual std::span<const ops::LeafRow> leaf_rows() const = 0;
  virtual std::span<const ops::CompositeRow> composite_rows() const = 0;

  // `plan` has been through all passes and outlives the program, as do the weights. Programs of one
  // backend share the arena and the workspace: only the one that ran last has valid contents.
  // Binding a plan that needs a larger arena invalidates earlier programs (arena_generation()
  // changes). Errors: kUnsupported, kOutOfMemory (with what is needed and what there is), kDevice.
  virtual Result<std::unique_ptr<Program>> bind(const ops::Plan& plan,
                                                const WeightSource& weights) = 0;

  // Counts how often the shared memory moved; a program bound at another generation must be bound
  // anew.
  virtual int arena_generation() const = 0;

  // Held now by what programs share.
  virtual MemoryUse memory() const = 0;

  // The threads that it binds and runs programs with; between its calls they are the caller's.
  virtual ThreadPool& threads() = 0;
};

// Whether composites are run whole where a kernel does so (kAuto, kFused), or leaf op by leaf op.
enum class LoweringChoice : uint8_t { kAuto, kLeaf, kFused };

struct CudaOptions {
  int device = 0;  // its number, as the driver counts
  // Of the memory that is free when a plan is bound, how much it may take.
  double memory_fraction = 1.0;
  LoweringChoice lowering = LoweringChoice::kAuto;
  // Whether a run is one captured graph; otherwise every kernel is launched by itself, waited for
  // and checked, so that a fault names its step.
  bool captures = true;
  // Of the host, as resolve_threads gives it: for uploading parameters, and the caller's use.
  int threads = 1;
};

// One GPU. Errors: kDevice or kUnsupported, with what is missing: this build has no CUDA backend,
// no driver, no such device, no kernels for its architecture, no cuBLASLt.
Result<std::unique_ptr<Backend>> make_cuda_backend(const CudaOptions& options);

// A GPU as `doctor` and `bench` report it.
struct CudaDevice {
  std::string name;
  int compute_capability = 0;
  int multiprocessors = 0;
  size_t total_bytes = 0;
  size_t free_bytes = 0;
  size_t l2_bytes = 0;
  int clock_mhz = 0;
  int memory_clock_mhz = 0;
  bool is_integrated = false;
  bool has_kernels = false;  // this build runs on it
};

struct CudaSystem {
  bool is_built = false;      // this build has a CUDA backend
  std::string architectures;  // "87 90a": that it has kernels for
  std::string driver;         // the CUDA version that the driver offers, "13.0"; empty: no driver
  std::string runtime;        // that it was built with
  std::string problem;        // why no device can be used; empty: one can
  std::vector<CudaDevice> devices;
};

CudaSystem cuda_system();

// What a GPU reaches at most, measured: reading memory, and a large product in `precision`.
struct CudaBounds {
  double read_bytes_per_second = 0;
  double flop_per_second = 0;
  std::string product;  // that the arithmetic was measured with
};

Result<CudaBounds> measure_cuda_bounds(int device, ops::Precision precision);

// The CPU backend: the oracle, and the device of machines without a GPU. `threads` as
// resolve_threads gives it.
std::unique_ptr<Backend> make_cpu_backend(int threads,
                                          LoweringChoice lowering = LoweringChoice::kAuto);

}  // namespace sinew::engine
