#include "eval/noise_sequence.h"

#include "base/check.h"
#include "base/error.h"
#include "base/philox.h"
#include "io/npy.h"
#include "io/safetensors.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sinew::eval {

Result<NoiseSequence> NoiseSequence::read(const std::filesystem::path& path) {
  SINEW_ASSIGN(const io::NpyArray array, io::read_npy(path));
  const bool is_float =
      array.dtype == DType::kF32 || array.dtype == DType::kF64 || array.dtype == DType::kF16;
  const size_t rank = array.shape.rank();
  if (!is_float || (rank != 2 && rank != 3) || array.shape.elements() == 0) {
    return bad_input(
        "{}: noise must be an f32 array [n, horizon, max_action_dim] with n >= 1, found {} {}; "
        "write it with numpy.save(file, noise.astype('float32'))",
        path.string(), dtype_name(array.dtype), array.shape.text());
  }
  std::vector<float> values(static_cast<size_t>(array.shape.elements()));
  io::convert_to_f32(array.view(), values);
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad != values.end()) {
    return bad_input("{}: noise must be finite, element {} is {}", path.string(),
                     bad - values.begin(), *bad);
  }
  NoiseSequence noise(std::move(values), rank == 3 ? array.shape[0] : 1, array.shape[rank - 2],
                      array.shape[rank - 1]);
  noise.path_ = path;
  return noise;
}

NoiseSequence::NoiseSequence(std::vector<float> values, int64_t entries, int64_t horizon,
                             int64_t dims)
    : values_(std::move(values)), entries_(entries), horizon_(horizon), dims_(dims) {
  SINEW_CHECK(entries > 0 && values_.size() == static_cast<size_t>(entries * horizon * dims));
}

Status NoiseSequence::check(int64_t horizon, int64_t max_action_dim) const {
  if (empty() || (horizon_ == horizon && dims_ == max_action_dim)) {
    return {};
  }
  return bad_input(
      "{}: each noise entry must be [{}, {}] (action tokens of the network, max_action_dim), found "
      "[{}, {}]; the number of action tokens follows --horizon",
      path_.string(), horizon, max_action_dim, horizon_, dims_);
}

NoiseSequence NoiseSequence::with_horizon(int64_t horizon, uint64_t seed) const {
  if (empty()) {
    return {};
  }
  const auto size = static_cast<size_t>(horizon * dims_);
  const auto known = static_cast<size_t>(std::min(horizon, horizon_) * dims_);
  std::vector<float> values(static_cast<size_t>(entries_) * size);
  for (int64_t entry = 0; entry < entries_; ++entry) {
    const auto to = std::span(values).subspan(static_cast<size_t>(entry) * size, size);
    normal_noise(seed, static_cast<uint64_t>(entry), to);
    std::copy_n(values_.begin() + entry * horizon_ * dims_, known, to.begin());
  }
  NoiseSequence noise(std::move(values), entries_, horizon, dims_);
  noise.path_ = path_;
  return noise;
}

std::span<const float> NoiseSequence::next() {
  if (empty()) {
    return {};
  }
  const auto size = static_cast<size_t>(horizon_ * dims_);
  const auto index = static_cast<size_t>(position_);
  position_ = (position_ + 1) % entries_;
  return std::span(values_).subspan(index * size, size);
}

}  // namespace sinew::eval
