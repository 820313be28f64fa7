// A CPU kernel bound to its operands: what a leaf step becomes on the CPU backend. Definition of
// each op: ops/op.h. One file per op (or family of equal loops); dnnl.cpp is the only one that sees
// oneDNN.
#pragma once

#include "ops/passes.h"
#include "ops/plan.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace sinew::cpu {

class Kernel {
 public:
  virtual ~Kernel() = default;

  // Scratch it needs during run(), bytes; one region is shared by all kernels of a session.
  virtual size_t workspace_bytes() const { return 0; }

  // Reads its sources, writes its results. Allocates nothing, takes no lock, never fails. OpenMP
  // inside.
  virtual void run(std::byte* workspace) = 0;
};

class WeightCache;  // weights.h: parameters converted to f32 or packed, once for all plans of a
                    // session

// A step with the addresses of its operands. Weight sources point into the mapped checkpoint in
// their stored type.
struct BoundStep {
  ops::OpKind op = ops::OpKind::kAdd;
  ops::Attributes attributes;
  std::vector<ConstTensorView> srcs;  // data == nullptr: optional operand absent
  std::vector<bool> src_is_weight;
  std::vector<TensorView> dsts;
};

using MakeKernel = Result<std::unique_ptr<Kernel>> (*)(const BoundStep& step, WeightCache& weights);

struct CpuRow {
  ops::LeafRow row;
  MakeKernel make = nullptr;
};

// The ordered table of all CPU lowerings; every OpKind has at least one row that accepts any step
// in f32.
std::span<const CpuRow> cpu_rows();

}  // namespace sinew::cpu
