// A CUDA kernel bound to its operands: what a leaf step, or a composite taken whole, becomes on the
// CUDA backend; the twin of kernels/cpu/kernel.h. Leaf ops lie in leaf/, one row each in table.cpp;
// composites that are run whole lie in fused/, one header with their maker and their refusal each.
#pragma once

#include "kernels/cuda/stream.h"
#include "kernels/cuda/weights.h"
#include "ops/bound_step.h"
#include "ops/passes.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace sinew::cuda {

using ops::BoundStep;

class BlasLt;  // blas_lt.h: the one place that knows cuBLASLt

class Kernel {
 public:
  virtual ~Kernel() = default;

  // Device scratch that it needs while it runs, bytes; one region, 256-byte aligned, is shared by
  // all kernels of a session, which run one after the other. Its contents are undefined at entry.
  virtual size_t workspace_bytes() const { return 0; }

  // Enqueues what it needs in the memory that it keeps (KeptMemory): once, when parameters and
  // once-values are there, before anything else of it is enqueued.
  virtual Status prepare(Stream /*stream*/) { return {}; }

  // Puts the work on the stream. Called once into a graph capture, or before every run: it may
  // launch kernels and enqueue memsets and copies, always the same ones in the same order, and do
  // nothing else: no allocation, no synchronisation, no work of the host that a replay would miss.
  // Results do not depend on what ran before (no order of atomics). Launch errors are returned.
  virtual Status enqueue(Stream stream, std::byte* workspace) = 0;
};

// Device memory that the kernels of one program keep from run to run, beside the parameters, which
// all programs share. As with those (weights.h), kernels are made twice, and addresses of the first
// time are placeholders.
class KeptMemory {
 public:
  struct Part {
    std::byte* data = nullptr;  // 256-byte aligned
    bool is_new = false;        // nobody asked for it before: who did fills it
  };

  virtual ~KeptMemory() = default;

  // Equal names (static) and keys (what is kept depends on: a number, an address) get the same
  // memory.
  virtual Part part(std::string_view name, int64_t key, size_t bytes) = 0;
};

// What makers are lent; all of it outlives the kernels.
struct MakeContext {
  WeightStore& weights;
  KeptMemory& kept;
  BlasLt& blas;
  const ops::DeviceCaps& device;
};

// Everything that can be refused or chosen (tiles, algorithms, split factors) is so here, not in
// enqueue.
using MakeKernel = Result<std::unique_ptr<Kernel>> (*)(const BoundStep& step,
                                                       const MakeContext& context);

// One way to run a leaf op. `row.refuse` sees the device as plan.device.
struct CudaRow {
  ops::LeafRow row;
  MakeKernel make = nullptr;
};

// The ordered table of all CUDA lowerings of leaf ops; every OpKind has at least one row that
// accepts any step in f32 and bf16 storage.
std::span<const CudaRow> cuda_rows();

// The steps of a composite in recorded order; results that only the composite's own steps read have
// no memory (data == nullptr).
using MakeCompositeKernel = Result<std::unique_ptr<Kernel>> (*)(std::span<const BoundStep> steps,
                                                                const MakeContext& context);

struct CudaCompositeRow {
  ops::CompositeRow row;
  MakeCompositeKernel make = nullptr;
};

// Composites that are run whole, outer and faster ones first.
std::span<const CudaCompositeRow> cuda_composite_rows();

}  // namespace sinew::cuda
