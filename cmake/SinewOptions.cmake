# Every option of the build, in one place.
option(SINEW_TESTS "Build the tests" ON)
option(SINEW_BENCH "Build the programs of bench/ that time single blocks" OFF)
option(SINEW_WERROR "Warnings are errors" ON)
option(SINEW_MEDIA "Data sets, videos and plots (Arrow, libav, cairo); OFF: what a bare GPU machine needs" ON)
option(SINEW_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(SINEW_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (address,undefined or thread)")

set(SINEW_DEPS_DIR "" CACHE PATH "Where wheels are unpacked; empty: build/deps, shared by all presets")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# The definition of several image and time-embedding stages fixes each rounding (spec: no FMA contraction),
# so contraction is off everywhere; kernels that want FMA ask for it explicitly.
add_compile_options(
  "$<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-Wconversion;-Wshadow;-ffp-contract=off>"
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
if(SINEW_WERROR)
  add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options($<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-Wno-restrict>)  # false at -O3: GCC PR105651
endif()
if(SINEW_SANITIZE)
  add_compile_options(
    "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${SINEW_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer>")
  add_link_options(-fsanitize=${SINEW_SANITIZE})
endif()
if(SINEW_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage for libFuzzer; tests/fuzz links the driver
endif()

find_program(SINEW_CCACHE ccache)
if(SINEW_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${SINEW_CCACHE}")
endif()

# Sets `result` to the folder that wheels are unpacked into, which exists then.
function(sinew_deps_folder result)
  set(deps "${SINEW_DEPS_DIR}")
  if(NOT deps)
    set(deps "${CMAKE_BINARY_DIR}/deps")
    cmake_path(IS_PREFIX PROJECT_SOURCE_DIR "${CMAKE_BINARY_DIR}" NORMALIZE inside)
    if(inside)
      set(deps "${PROJECT_SOURCE_DIR}/build/deps")
    endif()
  endif()
  file(MAKE_DIRECTORY "${deps}")
  set(${result} "${deps}" PARENT_SCOPE)
endfunction()
