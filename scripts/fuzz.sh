#!/usr/bin/env bash
# Builds the libFuzzer targets with sanitizers (preset fuzz), runs them one after the other and prints a table.
#
#   scripts/fuzz.sh [--runs N] [--seconds S] [--timeout S] [TARGET...]
#     --runs N       executions a target (default 100000)
#     --seconds S    at most so long a target (default: no limit)
#     --timeout S    an input that takes so long fails (default 60; more where runs are stopped meanwhile)
#     TARGET         names of tests/fuzz/CMakeLists.txt (default: all)
#
# Installs clang and its fuzzing runtime with apt when they are missing. What a run finds interesting is kept in
# build/fuzz/corpus/TARGET and used by the next one; an input that fails is kept in build/fuzz/failures/TARGET.
# Exit status 1 when there was one. docs/fuzzing.md says what each target covers.
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

runs=100000
seconds=0
timeout=60
targets=()

usage_error() {
  echo "fuzz.sh: $1 (--help)" >&2
  exit 2
}

number() {
  [[ "${2:-}" =~ ^[0-9]+$ ]] || usage_error "$1 wants a number"
  echo "$2"
}

while (($# > 0)); do
  case "$1" in
    --runs)
      runs="$(number "$@")"
      shift
      ;;
    --seconds)
      seconds="$(number "$@")"
      shift
      ;;
    --timeout)
      timeout="$(number "$@")"
      shift
      ;;
    -h | --help)
      sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*) usage_error "unknown argument '$1'" ;;
    *) targets+=("$1") ;;
  esac
  shift
done

known=()
while read -r name; do
  known+=("$name")
done < <(sed -n 's/^sinew_fuzz(\([a-z_]*\).*/\1/p' tests/fuzz/CMakeLists.txt)
((${#targets[@]} > 0)) || targets=("${known[@]}")
for target in "${targets[@]}"; do
  [[ " ${known[*]} " == *" $target "* ]] || usage_error "no target '$target'; there are ${known[*]}"
done

# The largest single allocation that a target may make, in MiB: what the limits of its parser imply for inputs as
# small as these. Frames may have 2^26 pixels (a file of a few bytes can claim so many), everything else is small.
allocation_limit_mb() {
  case "$1" in
    image | observation | dataset_folder) echo 520 ;;
    video) echo 800 ;;
    parquet) echo 96 ;;
    *) echo 64 ;;
  esac
}

# stat NAME LOG: a number of libFuzzer's final statistics.
stat() {
  sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

# Runs a target; its line of the table goes to $table.
fuzz() {
  local target="$1" status=0 begin elapsed
  local corpus="build/fuzz/corpus/$target" failures="build/fuzz/failures/$target" log="build/fuzz/$target.log"
  mkdir -p "$corpus" "$failures"
  local arguments=(
    "$corpus" "tests/fuzz/corpus/$target"
    "-runs=$runs" "-max_total_time=$seconds" "-artifact_prefix=$failures/" -print_final_stats=1
    -rss_limit_mb=2048 "-malloc_limit_mb=$(allocation_limit_mb "$target")" "-timeout=$timeout" -verbosity=1
  )
  local dictionary="tests/fuzz/dictionaries/$target.dict"
  [[ ! -f "$dictionary" ]] || arguments+=("-dict=$dictionary")
  # Weighing inputs by their rare features takes a third of an execution where one has ten thousand features.
  [[ " checkpoint dataset_folder " != *" $target "* ]] || arguments+=(-entropic=0)
  begin="$SECONDS"
  # What was freed megabytes ago, and the stack that asked for memory, are not worth their price here: the input that
  # failed, run alone, shows the stack. Arrow's own allocator would hide its buffers from the sanitizer.
  ASAN_OPTIONS="quarantine_size_mb=4:thread_local_quarantine_size_kb=64:malloc_context_size=1:${ASAN_OPTIONS:-}" \
    ARROW_DEFAULT_MEMORY_POOL=system \
    "build/fuzz/tests/fuzz/fuzz_$target" "${arguments[@]}" >"$log" 2>&1 || status=$?
  elapsed=$((SECONDS - begin))
  local executed peak rate result=clean
  executed="$(stat number_of_executed_units "$log")"
  peak="$(stat peak_rss_mb "$log")"
  rate=$((${executed:-0} / (elapsed > 0 ? elapsed : 1)))
  if ((status != 0)); then
    result="FAILED: $(sed -n 's/^SUMMARY: //p' "$log" | tail -n 1) ($log)"
    failed=1
  fi
  table+=("$(printf '%-18s %11s %8d %8d %9s %7d  %s' "$target" "${executed:-?}" "$elapsed" "$rate" "${peak:-?}" \
    "$(find "$corpus" -type f | wc -l)" "$result")")
}

stage "dependencies" bash scripts/install_dependencies.sh fuzz
stage "configure (fuzz)" configure fuzz
stage "build (fuzz)" build fuzz --target "${targets[@]/#/fuzz_}"

failed=0
table=()
for target in "${targets[@]}"; do
  printf '\n== %s\n' "$target"
  fuzz "$target"
  printf '%s\n' "${table[-1]}"
done
printf '\n%-18s %11s %8s %8s %9s %7s  %s\n' target executions seconds exec/s "peak MiB" corpus result
printf '%s\n' "${table[@]}"
exit "$failed"
