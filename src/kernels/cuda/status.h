// What a CUDA call answered, as a Status.
#pragma once

#include "sinew/result.h"

namespace sinew::cuda {

// The error of the launch just made: to be asked right after every <<<>>>. `kernel` names it.
Status launch_status(const char* kernel);

// The Status of any CUDA call's code (cudaError_t). kOutOfMemory where memory was short, else
// kDevice. `what` says what was being done.
Status call_status(int cuda_error, const char* what);

}  // namespace sinew::cuda
