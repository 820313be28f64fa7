// Where an executable gets its parameters from; policy/ adapts a checkpoint to it.
#pragma once

#include "tensor/tensor_view.h"

#include <string_view>

namespace sinew::engine {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // The stored bytes of a tensor that the loader has already checked against the recording (name,
  // shape, float dtype). They stay where they are as long as the source lives.
  virtual ConstTensorView weight(std::string_view name) const = 0;

  // The bytes of this view (of a weight, or a part of one) have been copied and are not expected to
  // be read again soon: the pages that hold them may go. They can still be read.
  virtual void release(const ConstTensorView& view) const = 0;
};

}  // namespace sinew::engine
