// Layer and RMS normalisation over rows: statistics in two passes with double sums, then one
// rounding to f32 before the affine part, as the original's f32 path computes it.
#include "base/check.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/make.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sinew::cpu {
namespace {

constexpr int64_t kSums = 8;  // partial sums a row, in fixed order whatever the vector width

double total(const std::array<double, kSums>& sums) {
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// sums[j] += x[i] for all i = j mod kSums
SINEW_CPU_CLONES void add_up(const float* x, int64_t d, double* sums) {
  const int64_t whole = d - d % kSums;
  for (int64_t i = 0; i < whole; i += kSums) {
    for (int64_t j = 0; j < kSums; ++j) {
      sums[j] += static_cast<double>(x[i + j]);
    }
  }
  for (int64_t i = whole; i < d; ++i) {
    sums[i - whole] += static_cast<double>(x[i]);
  }
}

// sums[j] += (x[i] - centre)^2 for all i = j mod kSums
SINEW_CPU_CLONES void add_up_squares(const float* x, int64_t d, double centre, double* sums) {
  const int64_t whole = d - d % kSums;
  for (int64_t i = 0; i < whole; i += kSums) {
    for (int64_t j = 0; j < kSums; ++j) {
      const double deviation = static_cast<double>(x[i + j]) - centre;
      sums[j] += deviation * deviation;
    }
  }
  for (int64_t i = whole; i < d; ++i) {
    const double deviation = static_cast<double>(x[i]) - centre;
    sums[i - whole] += deviation * deviation;
  }
}

SINEW_CPU_CLONES void normalise(const float* __restrict x, int64_t d, double centre, double factor,
                                float* __restrict y) {
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    y[i] = static_cast<float>((static_cast<double>(x[i]) - centre) * factor);
  }
}

struct Norm {
  const float* x = nullptr;  // [m, d]
  const float* w = nullptr;  // [d]; optional for layer_norm
  const float* b = nullptr;  // [d]; optional
  RealOutput y;              // [m, d]
  int64_t m = 0;
  int64_t d = 0;
  double epsilon = 0;
  bool is_centred = false;  // layer_norm

  void run_row(int64_t row) const {
    const float* from = x + row * d;
    const auto count = static_cast<double>(d);
    std::array<double, kSums> sums{};
    double mean = 0;
    if (is_centred) {
      add_up(from, d, sums.data());
      mean = total(sums) / count;
      sums.fill(0);
    }
    add_up_squares(from, d, mean, sums.data());
    const double factor = 1.0 / std::sqrt(total(sums) / count + epsilon);
    for (int64_t first = 0; first < d; first += kPieceElements) {
      const int64_t n = std::min(d - first, kPieceElements);
      y.fill(row * d + first, n, [&](float* to) {
        normalise(from + first, n, mean, factor, to);
        if (w != nullptr) {
          mul_loop(to, w + first, nullptr, to, n);
        }
        if (b != nullptr) {
          add_loop(to, b + first, nullptr, to, n);
        }
      });
    }
  }
};

class NormKernel final : public Kernel {
 public:
  explicit NormKernel(const Norm& norm) : norm_(norm) {}

  void run(const RunContext& context) override {
    parallel_for(context.pool, norm_.m, norm_.m * norm_.d,
                 [this](int64_t row) { norm_.run_row(row); });
  }

 private:
  Norm norm_;
};

MadeKernel make_norm(const BoundStep& step, WeightCache& weights, bool is_centred) {
  Norm norm;
  norm.is_centred = is_centred;
  norm.epsilon = static_cast<double>(std::get<ops::NormAttributes>(step.attributes).epsilon);
  norm.m = row_count(step.dsts[0].shape);
  norm.d = row_length(step.dsts[0].shape);
  norm.y = real_output(step);
  SINEW_ASSIGN(norm.x, real_source(step, 0, weights));
  SINEW_ASSIGN(norm.w, real_source(step, 1, weights));
  if (is_centred) {
    SINEW_ASSIGN(norm.b, real_source(step, 2, weights));
  }
  SINEW_CHECK(norm.b == nullptr || norm.w != nullptr);
  return std::unique_ptr<Kernel>(std::make_unique<NormKernel>(norm));
}

}  // namespace

MadeKernel make_layer_norm(const BoundStep& step, WeightCache& weights) {
  return make_norm(step, weights, /*is_centred=*/true);
}

MadeKernel make_rms_norm(const BoundStep& step, WeightCache& weights) {
  return make_norm(step, weights, /*is_centred=*/false);
}

}  // namespace sinew::cpu
