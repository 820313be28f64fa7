#pragma once

namespace sinew {

// Semantic version of the engine, the one of CMake's project().
inline constexpr const char* kVersion = "0.1.0";

}  // namespace sinew
