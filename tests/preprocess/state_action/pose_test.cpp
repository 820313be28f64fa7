// Pose algebra on rotations that are known by hand, and at the edges of the notations.
#include "preprocess/action/pose.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace sinew::preprocess {
namespace {

constexpr double kPi = std::numbers::pi;

// Rotation about a coordinate axis, at position (1, 2, 3), from its rotation-6d form.
Pose turn(size_t axis, double angle) {
  std::array<Vector3, 3> m = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  const size_t i = (axis + 1) % 3;
  const size_t j = (axis + 2) % 3;
  m[i][i] = m[j][j] = std::cos(angle);
  m[j][i] = std::sin(angle);
  m[i][j] = -m[j][i];
  const std::array<double, 9> numbers = {1,       2,       3,       m[0][0], m[0][1],
                                         m[0][2], m[1][0], m[1][1], m[1][2]};
  return pose_from_rot6d(numbers).value();
}

class Turn : public ::testing::TestWithParam<double> {};

// Small angles take the series, large ones each of the four quaternion branches.
TEST_P(Turn, RotationVectorIsAxisTimesAngle) {
  for (size_t axis = 0; axis < 3; ++axis) {
    std::array<double, 6> numbers{};
    write_rotvec(turn(axis, GetParam()), numbers);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_DOUBLE_EQ(numbers[i], static_cast<double>(i + 1));
      EXPECT_NEAR(numbers[3 + i], i == axis ? GetParam() : 0.0, 1e-14) << "axis " << axis;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Angles, Turn,
                         ::testing::Values(0.0, 1e-9, 1e-4, 0.999e-3, 1.001e-3, 0.5, -0.5, 2.0,
                                           -3.0, kPi - 1e-9, 1e-9 - kPi, kPi));

TEST(Pose, InverseUndoes) {
  const Pose pose = compose(turn(0, 0.7), compose(turn(1, -1.9), turn(2, 2.6)));
  std::array<double, 16> matrix{};
  write_matrix(compose(pose, inverse(pose)), matrix);
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_NEAR(matrix[i], i % 5 == 0 ? 1.0 : 0.0, 1e-15) << i;
  }
}

TEST(Pose, ComposesFromTheRight) {
  // x is turned onto y, then moved by the outer position.
  const Pose quarter = turn(2, kPi / 2);
  const Pose out = compose(quarter, quarter);
  EXPECT_NEAR(out.position[0], 1 - 2, 1e-15);
  EXPECT_NEAR(out.position[1], 2 + 1, 1e-15);
  EXPECT_NEAR(out.position[2], 3 + 3, 1e-15);
}

TEST(Pose, Rot6dHoldsRowsAndIsMadeOrthonormal) {
  const std::array<double, 9> numbers = {0, 0, 0, 0, 2, 0, -3, 5, 0};
  std::array<double, 9> out{};
  write_rot6d(pose_from_rot6d(numbers).value(), out);
  EXPECT_EQ(out, (std::array<double, 9>{0, 0, 0, 0, 1, 0, -1, 0, 0}));
}

TEST(Pose, RefusesWhatSpansNoPlane) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double huge = std::numeric_limits<double>::max();
  for (const std::array<double, 9>& numbers : {
           std::array<double, 9>{0, 0, 0, 0, 0, 0, 0, 1, 0},       // first row zero
           std::array<double, 9>{0, 0, 0, 1, 0, 0, 0, 0, 0},       // second row zero
           std::array<double, 9>{0, 0, 0, 1, 2, 3, -2, -4, -6},    // parallel
           std::array<double, 9>{0, 0, 0, 1, 0, nan, 0, 1, 0},     // no number
           std::array<double, 9>{nan, 0, 0, 1, 0, 0, 0, 1, 0},     // no place
           std::array<double, 9>{0, 0, 0, huge, 0, 0, 0, huge, 0}  // length overflows
       }) {
    EXPECT_FALSE(pose_from_rot6d(numbers).has_value());
  }
}

}  // namespace
}  // namespace sinew::preprocess
