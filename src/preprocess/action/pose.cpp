#include "preprocess/action/pose.h"

#include <algorithm>
#include <cmath>

namespace sinew::preprocess {
namespace {

// Below this share of a row's length, what is left of it after the projection is rounding noise.
constexpr double kParallel = 1e-12;

double dot(const Vector3& a, const Vector3& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

double length(const Vector3& v) {
  return std::sqrt(dot(v, v));
}

Vector3 cross(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

Vector3 divided(const Vector3& v, double by) {
  return {v[0] / by, v[1] / by, v[2] / by};
}

// Rotation times vector.
Vector3 rotated(const std::array<Vector3, 3>& rotation, const Vector3& v) {
  return {dot(rotation[0], v), dot(rotation[1], v), dot(rotation[2], v)};
}

std::array<Vector3, 3> transposed(const std::array<Vector3, 3>& m) {
  return {{{m[0][0], m[1][0], m[2][0]}, {m[0][1], m[1][1], m[2][1]}, {m[0][2], m[1][2], m[2][2]}}};
}

// A unit quaternion: vector part and scalar part.
struct Quaternion {
  Vector3 xyz{};
  double w = 0;
};

// From the largest of the four squared components, so that nothing small is divided by.
Quaternion to_quaternion(const std::array<Vector3, 3>& m) {
  const double trace = m[0][0] + m[1][1] + m[2][2];
  Quaternion q;
  if (trace >= std::max({m[0][0], m[1][1], m[2][2]})) {
    q.xyz = {m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]};
    q.w = 1 + trace;
  } else {
    size_t i = m[1][1] > m[0][0] ? 1 : 0;
    i = m[2][2] > m[i][i] ? 2 : i;
    const size_t j = (i + 1) % 3;
    const size_t k = (i + 2) % 3;
    q.xyz[i] = 1 - trace + 2 * m[i][i];
    q.xyz[j] = m[j][i] + m[i][j];
    q.xyz[k] = m[k][i] + m[i][k];
    q.w = m[k][j] - m[j][k];
  }
  double norm = std::sqrt(dot(q.xyz, q.xyz) + q.w * q.w);
  norm = q.w < 0 ? -norm : norm;  // q and -q are one rotation: take the one of angle <= pi
  return {divided(q.xyz, norm), q.w / norm};
}

}  // namespace

std::optional<Pose> pose_from_rot6d(std::span<const double, kRot6dPoseDims> numbers) {
  if (!std::ranges::all_of(numbers, [](double x) { return std::isfinite(x); })) {
    return std::nullopt;
  }
  Pose pose;
  pose.position = {numbers[0], numbers[1], numbers[2]};
  const Vector3 first = {numbers[3], numbers[4], numbers[5]};
  const Vector3 second = {numbers[6], numbers[7], numbers[8]};
  const double first_length = length(first);
  const double second_length = length(second);
  if (!std::isnormal(first_length) || !std::isnormal(second_length)) {
    return std::nullopt;
  }
  const Vector3 a = divided(first, first_length);
  const double along = dot(a, second);
  const Vector3 rest = {second[0] - along * a[0], second[1] - along * a[1],
                        second[2] - along * a[2]};
  const double rest_length = length(rest);
  if (!(rest_length > kParallel * second_length)) {
    return std::nullopt;
  }
  const Vector3 b = divided(rest, rest_length);
  pose.rotation = {a, b, cross(a, b)};
  return pose;
}

Pose inverse(const Pose& pose) {
  Pose out;
  out.rotation = transposed(pose.rotation);
  const Vector3 moved = rotated(out.rotation, pose.position);
  out.position = {-moved[0], -moved[1], -moved[2]};
  return out;
}

Pose compose(const Pose& outer, const Pose& inner) {
  Pose out;
  const Vector3 moved = rotated(outer.rotation, inner.position);
  const std::array<Vector3, 3> columns = transposed(inner.rotation);
  for (size_t row = 0; row < 3; ++row) {
    out.position[row] = moved[row] + outer.position[row];
    for (size_t column = 0; column < 3; ++column) {
      out.rotation[row][column] = dot(outer.rotation[row], columns[column]);
    }
  }
  return out;
}

void write_rot6d(const Pose& pose, std::span<double, kRot6dPoseDims> dst) {
  for (size_t i = 0; i < 3; ++i) {
    dst[i] = pose.position[i];
    dst[3 + i] = pose.rotation[0][i];
    dst[6 + i] = pose.rotation[1][i];
  }
}

void write_rotvec(const Pose& pose, std::span<double, kRotvecPoseDims> dst) {
  constexpr double kSmallAngle = 1e-3;
  const Quaternion q = to_quaternion(pose.rotation);
  const double angle = 2 * std::atan2(length(q.xyz), q.w);
  // angle / sin(angle / 2); near 0 by its series, where the quotient would be 0 / 0
  const double squared = angle * angle;
  const double scale = angle < kSmallAngle ? 2 + squared / 12 + 7 * squared * squared / 2880
                                           : angle / std::sin(angle / 2);
  for (size_t i = 0; i < 3; ++i) {
    dst[i] = pose.position[i];
    dst[3 + i] = scale * q.xyz[i];
  }
}

void write_matrix(const Pose& pose, std::span<double, kMatrixPoseDims> dst) {
  for (size_t row = 0; row < 3; ++row) {
    for (size_t column = 0; column < 3; ++column) {
      dst[row * 4 + column] = pose.rotation[row][column];
    }
    dst[row * 4 + 3] = pose.position[row];
  }
  dst[12] = dst[13] = dst[14] = 0;
  dst[15] = 1;
}

}  // namespace sinew::preprocess
