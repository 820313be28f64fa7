// A plan bound to a GPU: kernels, the memory that inputs and outputs are exchanged through, and the
// whole run as one captured graph.
#pragma once

#include "engine/backend.h"
#include "engine/cuda/handles.h"
#include "engine/cuda/kept_memory.h"
#include "engine/cuda/memory.h"
#include "engine/cuda/once_store.h"
#include "kernels/cuda/kernel.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sinew::cuda {

// What the programs of a backend share.
struct Machine {
  int device = 0;
  Stream stream = nullptr;
  std::byte* arena = nullptr;
  std::byte* workspace = nullptr;
  bool is_integrated = false;
  bool captures = true;
  std::string fault;  // of the first run that failed: nothing runs after it
};

class CudaProgram final : public engine::Program {
 public:
  // `machine` outlives the program; `plan` too.
  CudaProgram(const ops::Plan& plan, Machine& machine, OnceStore::User once);

  // Allocates the exchange memory and what kernels keep.
  Status allocate();

  // Bytes of the exchange memory: on the host, and beside it on the device.
  size_t staging_bytes() const { return exchange_bytes_; }

  size_t exchange_device_bytes() const { return machine_.is_integrated ? 0 : exchange_bytes_; }

  OnceStore::User& once() { return once_; }

  ProgramMemory& kept() { return kept_; }

  const ProgramMemory& kept() const { return kept_; }

  // Where a value that owns memory lies, for makers; placeholders before allocate() and before the
  // machine has an arena. nullptr: a composite keeps it to itself.
  std::byte* address(ops::Value root) const;

  // Kernels in the order of plan.calls.
  void add(const ops::Call& call, std::unique_ptr<Kernel> kernel);

  // Lets kernels fill what they keep, runs once uncaptured, so that all code is on the device, and
  // captures the graph. A capture that fails is said, and runs are uncaptured from then on.
  Status prepare();

  Status run(std::span<double> stage_ms) override;
  TensorView view(ops::Value value) const override;
  Result<ConstTensorView> read(ops::Value value) override;
  engine::MemoryUse memory() const override;

 private:
  struct BoundCall {
    const ops::Call* call;
    std::unique_ptr<Kernel> kernel;
  };

  bool is_exchanged(ops::Value root) const;
  Status copy_in() const;
  Status copy_out() const;
  Status enqueue_call(const BoundCall& call, bool is_checked) const;
  Status enqueue_all(bool with_events, bool is_checked) const;
  Result<Graph> capture(bool with_events) const;
  Status read_times(std::span<double> stage_ms) const;
  Status prepare_kernels();
  Status prepare_timing();
  Status failed(Status status);

  const ops::Plan& plan_;
  Machine& machine_;
  OnceStore::User once_;
  ProgramMemory kept_;
  std::vector<std::vector<BoundCall>> stages_;
  std::vector<std::pair<ops::Value, size_t>> exchanged_;  // inputs, then outputs: offset
  size_t input_bytes_ = 0;                                // of exchange memory
  size_t exchange_bytes_ = 0;
  PinnedBuffer staging_;
  DeviceBuffer exchange_;
  std::vector<std::byte> read_back_;
  Graph graph_;
  Graph timed_graph_;
  std::vector<Event> events_;  // before the first stage and after each
  Event done_;
  bool is_captured_ = false;
};

// A call for error messages: its step, lowering, shapes and types.
std::string call_text(const ops::Plan& plan, const ops::Call& call);

}  // namespace sinew::cuda
