// Small plans, bound to a GPU as a session binds them.
#pragma once

#include "base/float16.h"
#include "engine/backend.h"
#include "engine/weight_source.h"
#include "ops/builder.h"
#include "ops/passes.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sinew::engine::test {

// Parameters by name; all elements of one are equal.
class FlatWeights final : public WeightSource {
 public:
  explicit FlatWeights(const ops::Plan& plan) {
    for (const ops::ValueInfo& info : plan.values) {
      if (info.kind == ops::ValueKind::kWeight) {
        values_[info.name].assign(static_cast<size_t>(info.shape.elements()), to_bf16(0.5F));
        shapes_[info.name] = info.shape;
      }
    }
  }

  ConstTensorView weight(std::string_view name) const override {
    const std::string key(name);
    return {values_.at(key).data(), DType::kBf16, shapes_.at(key)};
  }

  void release(const ConstTensorView& /*view*/) const override {}

 private:
  std::map<std::string, std::vector<Bf16>> values_;
  std::map<std::string, Shape> shapes_;
};

// All passes, for this backend.
inline void pass(ops::Plan& plan, const Backend& backend, ops::Precision precision) {
  ops::fold_once(plan);
  const Status assigned = ops::assign_precision(plan, precision);
  ASSERT_TRUE(assigned.ok()) << assigned.message();
  const Status selected = ops::select(plan, backend.leaf_rows(), backend.composite_rows(),
                                      backend.device(), /*keep_sites=*/false);
  ASSERT_TRUE(selected.ok()) << selected.message();
  ops::place(plan, /*keep_sites=*/false);
}

inline bool has_gpu() {
  return cuda_system().problem.empty();
}

}  // namespace sinew::engine::test
