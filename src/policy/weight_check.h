// Holds a checkpoint's tensors against what a recording reads.
#pragma once

#include "engine/weight_source.h"
#include "io/checkpoint.h"
#include "model/network.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <string>
#include <vector>

namespace sinew::policy {

// The checkpoint as an engine sees it. Refers to it: the checkpoint must outlive it.
class CheckpointWeights final : public engine::WeightSource {
 public:
  explicit CheckpointWeights(const io::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  ConstTensorView weight(std::string_view name) const override;
  void release(const ConstTensorView& view) const override;

 private:
  const io::Checkpoint& checkpoint_;
};

// Every weight of `plan` must be in the checkpoint with its shape and a float type; the error lists
// all that are missing and all that have another shape or type. `notices` gets the tensors that no
// one reads and no known checkpoint holds.
Status check_weights(const ops::Plan& plan, const model::Network& network,
                     const io::Checkpoint& checkpoint, std::vector<std::string>& notices);

}  // namespace sinew::policy
