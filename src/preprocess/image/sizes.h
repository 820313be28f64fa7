// The rules of sizes that the steps of the transform share. Private to this folder.
#pragma once

#include "preprocess/image/image.h"

#include "sinew/result.h"

#include <cstdint>

namespace sinew::preprocess {

// kBadInput, with `what` and the limit, for an image without pixels or over a limit.
Status check_size(const char* what, Size size, int64_t max_side);

// Section 2, steps 1 to 4.
Result<Size> snapped_size(Size size);

}  // namespace sinew::preprocess
