# Run at build time: writes the commit that is built, or nothing, into a source file, which changes only when the commit does.
#   cmake -DSOURCE=... -DOUTPUT=... -P GitCommit.cmake
find_package(Git QUIET)
set(commit "")
if(Git_FOUND)
  execute_process(COMMAND "${GIT_EXECUTABLE}" -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT [[
#include "cli/git_commit.h"

namespace sinew::cli {

const char* const kGitCommit = "@commit@";

}  // namespace sinew::cli
]] @ONLY)
