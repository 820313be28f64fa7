// Factors between units.
#pragma once

#include <numbers>

namespace sinew {

inline constexpr double kDegreesPerRadian = 180 / std::numbers::pi;

}  // namespace sinew
