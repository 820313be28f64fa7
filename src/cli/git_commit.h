// The commit that this program was built from; its definition is written by the build
// (cmake/GitCommit.cmake).
#pragma once

namespace sinew::cli {

// Abbreviated, "-dirty" at the end when files were changed; empty outside of a repository.
extern const char* const kGitCommit;

}  // namespace sinew::cli
