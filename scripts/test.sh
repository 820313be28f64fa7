#!/usr/bin/env bash
# Everything a change must pass: lint, the tests, and the tests again under sanitizers.
#
#   scripts/test.sh            all of it; what CI runs
#   scripts/test.sh --quick    build and test only, no lint, no sanitizers
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

quick=0
for argument in "$@"; do
  case "$argument" in
    --quick) quick=1 ;;
    -h | --help)
      sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "test.sh: unknown argument '$argument' (--quick)" >&2
      exit 2
      ;;
  esac
done

# clang-format and clang-tidy change their minds between versions, so only version 14 decides.
has_llvm_14() {
  command -v "$1-14" >/dev/null && return
  echo "$1: SKIPPED, $1-14 is not installed (other versions format and warn differently)"
  return 1
}

check_format() {
  has_llvm_14 clang-format || return 0
  find include src tests \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 | xargs -0 clang-format-14 --dry-run --Werror
}

check_tidy() {
  has_llvm_14 clang-tidy || return 0
  python3 tools/run_clang_tidy.py --build build/dev --jobs "$(job_count)"
}

check_tree() {
  local tool status=0
  for tool in layering words sizes links; do
    python3 "tools/check_$tool.py" || status=1
  done
  return "$status"
}

run_tests() {
  ctest --preset "$1" --no-tests=error --timeout 600 "${@:2}"
}

stage "dependencies" bash scripts/install_dependencies.sh test
stage "configure (dev)" configure dev
if ((!quick)); then
  stage "lint: format" check_format
  stage "lint: layering, words, links" check_tree
fi
stage "build (dev)" build dev
stage "tests (dev)" run_tests dev
if ((!quick)); then
  stage "lint: clang-tidy" check_tidy
  stage "configure (asan)" configure asan
  stage "build (asan)" build asan
  stage "tests (asan)" run_tests asan --label-exclude lint
fi
print_stages
printf '\nOK\n'
