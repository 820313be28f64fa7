#include "kernels/cpu/softmax.h"

#include "kernels/cpu/simd.h"

#include <algorithm>

namespace sinew::cpu {

SINEW_CPU_CLONES float softmax_numerators(float* scores, int64_t visible, int64_t padded,
                                          float scale) {
  constexpr int64_t kLanes = 16;
  float lane_max[kLanes];
  std::fill_n(lane_max, kLanes, -__builtin_inff());
  const int64_t whole = visible - visible % kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      const float score = scores[i + j] * scale;
      scores[i + j] = score;
      lane_max[j] = score > lane_max[j] ? score : lane_max[j];
    }
  }
  for (int64_t i = whole; i < visible; ++i) {
    scores[i] *= scale;
    lane_max[0] = scores[i] > lane_max[0] ? scores[i] : lane_max[0];
  }
  float maximum = lane_max[0];
  for (int64_t j = 1; j < kLanes; ++j) {
    maximum = lane_max[j] > maximum ? lane_max[j] : maximum;
  }
  std::fill(scores + visible, scores + padded, -__builtin_inff());
  float sums[kLanes] = {};
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      const float numerator = exp_f32(scores[i + j] - maximum);
      scores[i + j] = numerator;
      sums[j] += numerator;
    }
  }
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) {
      sums[j] += sums[j + width];
    }
  }
  return sums[0];
}

}  // namespace sinew::cpu
