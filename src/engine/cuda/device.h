// Which GPUs there are, and whether this build runs on them.
#pragma once

#include "engine/backend.h"
#include "ops/plan.h"

#include "sinew/result.h"

namespace sinew::cuda {

// Makes `device` the calling thread's, checks that its kernels are in this build, and says what
// lowerings ask about it. Errors: kDevice (no driver, no such device), kUnsupported (no kernels).
Result<ops::DeviceCaps> open_device(int device);

}  // namespace sinew::cuda
