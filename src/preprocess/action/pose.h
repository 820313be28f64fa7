// End-effector poses and their three notations (spec/preprocessing.md section 6.1); all f64.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace sinew::preprocess {

inline constexpr size_t kRot6dPoseDims = 9;   // xyz, then the first two rows of the rotation
inline constexpr size_t kRotvecPoseDims = 6;  // xyz, then axis * angle
inline constexpr size_t kMatrixPoseDims = 16;

using Vector3 = std::array<double, 3>;

// A rigid transform: x -> rotation * x + position.
struct Pose {
  Vector3 position{};
  std::array<Vector3, 3> rotation{};  // rows
};

// Orthonormalises the two rows (Gram-Schmidt). Nothing when they do not span a plane: zero,
// parallel or not finite.
std::optional<Pose> pose_from_rot6d(std::span<const double, kRot6dPoseDims> numbers);

Pose inverse(const Pose& pose);
Pose compose(const Pose& outer, const Pose& inner);  // outer * inner

void write_rot6d(const Pose& pose, std::span<double, kRot6dPoseDims> dst);

// Angle within [0, pi].
void write_rotvec(const Pose& pose, std::span<double, kRotvecPoseDims> dst);

// [4, 4] row-major, homogeneous.
void write_matrix(const Pose& pose, std::span<double, kMatrixPoseDims> dst);

}  // namespace sinew::preprocess
