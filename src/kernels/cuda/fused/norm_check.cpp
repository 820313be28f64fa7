// What the norms accept: plain host code, no CUDA.
#include "base/error.h"
#include "kernels/cuda/fused/norm.h"

namespace sinew::cuda {

Status check_norm(const NormArgs& args) {
  if (args.width % 4 != 0 || args.width > 8192 || args.rows < 1) {
    return unsupported("a fused norm of {} rows of {} values: expected a multiple of 4 up to 8192",
                       args.rows, args.width);
  }
  return {};
}

}  // namespace sinew::cuda
