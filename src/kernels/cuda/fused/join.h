// Parameters one after the other: rows of several matrices as one matrix.
#pragma once

#include "kernels/cuda/weights.h"

namespace sinew::cuda {

// Packing::pack of such a form.
Status join_parameters(const PackJob& job);

}  // namespace sinew::cuda
