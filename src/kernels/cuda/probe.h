// Whether this build's kernels run on the current device.
#pragma once

#include "sinew/result.h"

namespace sinew::cuda {

// kDevice when the build has no code that the current device can run.
Status probe_kernels();

// The architectures that this build has kernels for: "87 90a".
const char* kernel_architectures();

}  // namespace sinew::cuda
