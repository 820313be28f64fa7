// Looks at the numbers of a checkpoint's weights, once, at load: a NaN or infinity there reaches
// the actions, or is turned into a plausible zero by a ReLU.
#pragma once

#include "io/checkpoint.h"
#include "ops/plan.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstdint>
#include <optional>

namespace sinew::policy {

// Position of the first element that is NaN or infinite. Precondition: F32, F16 or BF16. The data
// may be unaligned, as in a mapped file.
std::optional<int64_t> find_non_finite(const ConstTensorView& view);

// Every number that `plan` reads of a weight must be finite; the error names the tensors. Parts
// that no step reads (slots of other embodiments) are not looked at, and neither is an embedding
// table, of which a prompt reads a few rows. Precondition: check_weights accepted the plan.
Status check_weight_values(const ops::Plan& plan, const io::Checkpoint& checkpoint);

}  // namespace sinew::policy
